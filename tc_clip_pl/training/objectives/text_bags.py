"""Bags of words about a clip: what its class does, by a language model, and what its captions say (MAXI)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tc_clip_pl.modules.phrase_files import plain_name, read_phrases


def read_class_words(source: str | Path, class_names: Sequence[str]) -> list[list[str]]:
    """Read the words of every class.

    Args:
        source: A JSON of lists under the class names, or a folder with a file `CLASS NAME.txt` of a word a line each.
        class_names: Y names.

    Returns:
        The words of each of the Y classes, which may be none.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a class is missing.
    """
    found: Mapping[str, list[str] | Path]
    if (folder := Path(source).expanduser()).is_dir():
        found = {plain_name(file.stem): file for file in sorted(folder.glob("*.txt"))}
    else:
        found = {plain_name(name): words for name, words in read_phrases(source).items()}
    if missing := [name for name in class_names if plain_name(name) not in found]:
        raise ValueError(
            f"{source} has no words for {len(missing)} of the {len(class_names)} classes, such as {missing[0]!r}: add "
            "them, or an empty list."
        )
    return [_words(found[plain_name(name)]) for name in class_names]


class ClipWords:
    """The words of each clip, by the name of its file without its ending.

    Args:
        source: A JSON of lists under these names, or a folder with a file `FOLDER/NAME.txt` of a word a line each.

    Raises:
        OSError: If there is no such file.
        ValueError: If a file has another form, or two are of clips with the same name.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = source
        self._found: dict[str, list[str] | Path] = {}
        if not (folder := Path(source).expanduser()).is_dir():
            self._found.update(read_phrases(source))
            return
        for file in sorted(folder.rglob("*.txt")):
            if file.stem in self._found:
                raise ValueError(f"Both {self._found[file.stem]} and {file} are of a clip {file.stem}: remove one.")
            self._found[file.stem] = file

    def of(self, video_id: str) -> list[str]:
        """Return the words of a clip, given its path.

        Raises:
            ValueError: If there are none.
        """
        self.check([video_id])
        return _words(self._found[Path(video_id).stem])

    def check(self, video_ids: Iterable[str]) -> None:
        """Raise a ValueError if a clip has no entry."""
        if missing := [video_id for video_id in video_ids if Path(video_id).stem not in self._found]:
            raise ValueError(
                f"{self.source} has no words for {len(missing)} of the training clips, such as {missing[0]}: add them, "
                "or empty lists."
            )


def _words(entry: list[str] | Path) -> list[str]:
    lines = entry.read_text(encoding="utf-8-sig").splitlines() if isinstance(entry, Path) else entry
    return [word for line in lines if (word := line.strip())]


def join_words(class_name: str, *sources: Sequence[str]) -> list[str]:
    """Return the words of several sources, each once and in the order of their first mention, without the class name.

    The class is in every text already. The published code removes its name after the draw, which leaves a bag one
    short and shifts all later ones.
    """
    words = dict.fromkeys(word for source in sources for word in source)
    return [word for word in words if plain_name(word) != plain_name(class_name)]


def draw_bag(words: Sequence[str], size: int, seed: int) -> list[str]:
    """Draw a bag: all words as often as they fit into it, then some more without replacement.

    Args:
        words: May be empty.
        size: M.
        seed: Decides the draw.

    Returns:
        M words; none if there are none.

    Example:
        >>> draw_bag(["climb", "descend"], size=4, seed=0)
        ['climb', 'descend', 'climb', 'descend']
    """
    if not words:
        return []
    whole, rest = divmod(size, len(words))
    return [*words] * whole + random.Random(seed).sample(list(words), rest)
