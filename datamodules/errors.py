"""The one exception that this package raises about a user's data."""


class DataError(ValueError):
    """Something about the data on disk, or the request made of it, that only the user can put right.

    The message is one sentence: what is wrong, where, and what to do.
    """

    def __str__(self) -> str:
        # A worker process hands its exception over as the text of a traceback; the sentence stands at its end.
        return super().__str__().rsplit("DataError: ", 1)[-1].strip()
