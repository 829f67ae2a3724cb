"""What can be wrong with a list or a clip, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        words: What it is called in the report.
        is_trouble: Whether it spoils a run, or is only worth knowing.
        is_skipped: Whether `--data.on_bad_video skip` leaves such clips out, so that they spoil none.
    """

    words: str
    is_trouble: bool = True
    is_skipped: bool = False


# In the order in which they are reported.
KINDS: dict[str, Kind] = {
    "list": Kind("unusable list"),
    "line": Kind("malformed line"),
    "repeated": Kind("clip listed twice"),
    "label": Kind("label of no class"),
    "no clips": Kind("class without training clips"),
    "leaked": Kind("test clip that is trained on"),
    "missing": Kind("missing file", is_skipped=True),
    "ambiguous": Kind("base name found twice"),
    "empty": Kind("empty file", is_skipped=True),
    "unreadable": Kind("file that cannot be opened", is_skipped=True),
    "undecodable": Kind("undecodable file", is_skipped=True),
    # A few are usual, where clips were relabeled; where it is most of them, the list is unusable.
    "folder": Kind("clip in the folder of another class", is_trouble=False),
    "untested": Kind("class without test clips", is_trouble=False),
    # Its frames are repeated, which is how short clips are meant to be treated.
    "short": Kind("clip shorter than a view", is_trouble=False),
}


class Problem(NamedTuple):
    """Something wrong: its kind (a name in `KINDS`), which line, clip or class it is about, and what exactly."""

    kind: str
    subject: str
    detail: str = ""

    def is_trouble(self, skips: bool) -> bool:
        """Tells whether a run should not be started.

        Args:
            skips: Whether bad clips are left out.
        """
        kind = KINDS[self.kind]
        return kind.is_trouble and not (skips and kind.is_skipped)

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}" if self.detail else self.subject
