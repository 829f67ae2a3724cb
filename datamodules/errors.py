"""The one exception that this package raises about a user's data."""


class DataError(ValueError):
    """A mistake in the data on disk, or in the options, that only the user can fix.

    The message is one sentence: what is wrong, where, and what to do.
    """

    def __str__(self) -> str:
        # A DataLoader worker re-raises with its whole traceback as the message; the sentence comes last.
        return super().__str__().rsplit("DataError: ", 1)[-1].strip()


def describe(error: Exception) -> str:
    """Return what an error of a library says in one line; its type where it says nothing."""
    said = getattr(error, "strerror", None) or str(error)  # FFmpeg's own message, without its number and function
    return next(iter(said.splitlines()), type(error).__name__)
