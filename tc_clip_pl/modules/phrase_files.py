"""Files that describe classes or clips in words: a JSON of lists of strings, such as `{"brush hair": ["a comb"]}`."""

import json
import re
from pathlib import Path


def read_phrases(file: str | Path) -> dict[str, list[str]]:
    """Read a JSON object of lists of strings; the keys are those of the file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it has another form, or a key twice.
    """
    file = Path(file).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"There is no phrase file {file}: check the path.")
    try:
        # Read as pairs: a dict would silently keep the last of two equal keys.
        pairs = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=tuple)
    except ValueError as error:
        raise ValueError(f"The phrase file {file} is not valid JSON ({error}): correct it.") from error
    phrases: dict[str, list[str]] = {}
    if not isinstance(pairs, tuple):
        raise ValueError(f'The phrase file {file} is no JSON object: it needs lists of texts, {{"KEY": ["TEXT"]}}.')
    for key, texts in pairs:
        if key in phrases:
            raise ValueError(f"The phrase file {file} has the key {key!r} twice: remove one.")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"The phrase file {file} has no list of texts under {key!r}: correct it.")
        phrases[key] = texts
    return phrases


def plain_name(name: str) -> str:
    """Reduce a class name to its letters and digits, so that `Brush_Hair`, `brush hair` and `BrushHair` are equal."""
    return re.sub(r"[\W_]+", "", name).lower()
