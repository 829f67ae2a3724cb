"""The kinds of problem with a list or a clip, and their severity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        title: Its name in the report.
        is_error: Whether it spoils a run; otherwise it is a warning.
        is_skippable: Whether `--data.on_bad_video skip` leaves such clips out of a run, which makes it a warning.
    """

    title: str
    is_error: bool = True
    is_skippable: bool = False


# In the order of the report.
KINDS: dict[str, Kind] = {
    "list": Kind("unusable list"),
    "line": Kind("malformed line"),
    "repeated": Kind("clip listed twice"),
    "label": Kind("label out of range"),
    "no clips": Kind("class without training clips"),
    "leaked": Kind("test clip in the training list"),
    "missing": Kind("missing file", is_skippable=True),
    "ambiguous": Kind("ambiguous file name"),
    "empty": Kind("empty file", is_skippable=True),
    "unreadable": Kind("unreadable file", is_skippable=True),
    "undecodable": Kind("undecodable file", is_skippable=True),
    # A warning, since some datasets relabeled a few clips without moving them. Where it is most of the clips, the
    # labels are in another order than the class names, and the list is reported as unusable.
    "folder": Kind("clip in another class's folder", is_error=False),
    "untested": Kind("class without test clips", is_error=False),
    # A warning, since repeating frames is the intended treatment of short clips.
    "short": Kind("clip shorter than a view", is_error=False),
}


class Problem(NamedTuple):
    """One problem.

    Attributes:
        kind: A name in `KINDS`.
        subject: The line, clip or class concerned.
        detail: What exactly is wrong with it, if the kind does not say it all.
    """

    kind: str
    subject: str
    detail: str = ""

    def is_error(self, skip_bad_clips: bool) -> bool:
        """Return whether a run should not be started.

        Args:
            skip_bad_clips: Whether the run leaves unreadable clips out.
        """
        kind = KINDS[self.kind]
        return kind.is_error and not (skip_bad_clips and kind.is_skippable)

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}" if self.detail else self.subject
