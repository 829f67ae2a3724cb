"""The changes of survivors.md: those that no test could or should notice."""

import re
from pathlib import Path

TABLE = Path(__file__).with_name("survivors.md")


class Accepted:
    """Tells whether a survivor, as `path:line: old -> new`, is accepted: `survivor in Accepted()`.

    The first column of the table has one or more patterns in backticks; `...` stands for any text.
    """

    def __init__(self) -> None:
        rows = TABLE.read_text().split("## Scores")[0].splitlines()  # the first cells of the scores are folders
        cells = [line.split("|")[1] for line in rows if line.startswith("| `")]
        patterns = [pattern for cell in cells for pattern in re.findall("`([^`]+)`", cell)]
        self.patterns = [re.compile(".*".join(map(re.escape, pattern.split("...")))) for pattern in patterns]

    def __contains__(self, survivor: str) -> bool:
        return any(pattern.search(survivor) for pattern in self.patterns)
