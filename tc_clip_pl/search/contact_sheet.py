"""A picture of what was found: a strip of frames for each moment, with its video, seconds and score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from datamodules.errors import DataError
from datamodules.video.excerpt import read_excerpt
from tc_clip_pl.search.moments import Moment
from tc_clip_pl.search.video_sources import local_copy

FRAMES = 5
"""Frames of a moment, from its begin to its end."""
TILE = (192, 144)
GAP, FONT_SIZE = 6, 15
LINE = FONT_SIZE + 7
WIDTH = FRAMES * TILE[0] + (FRAMES + 1) * GAP
BACKGROUND, INK, GREY = "white", "black", "#777777"


def draw_contact_sheet(title: str, moments: Sequence[Moment], names: Sequence[str]) -> Image.Image:
    """Draw a strip of frames for each moment; one whose file is gone says so.

    Args:
        title: The query.
        moments: What was found, the best first.
        names: How each video is called.
    """
    height = LINE + GAP + len(moments) * (LINE + TILE[1] + 2 * GAP)
    sheet = Image.new("RGB", (WIDTH, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    draw.text((GAP, GAP), _fit(draw, title, font, WIDTH - 2 * GAP), INK, font)
    top = LINE + GAP
    for rank, (moment, name) in enumerate(zip(moments, names, strict=True), 1):
        facts = f"{rank}   {moment.score:.3f}   {moment.start:.1f} - {moment.end:.1f} s   "
        room = WIDTH - 2 * GAP - draw.textlength(facts, font)
        draw.text((GAP, top + GAP), facts, INK, font)
        draw.text((GAP + draw.textlength(facts, font), top + GAP), _fit(draw, name, font, room), GREY, font)
        _draw_strip(sheet, moment, top + LINE + GAP)
        top += LINE + TILE[1] + 2 * GAP
    return sheet


def save_contact_sheet(file: str | Path, sheet: Image.Image) -> None:
    """Write a sheet; the suffix of the file says the format.

    Raises:
        DataError: The file cannot be written, or its suffix is not that of a picture.
    """
    try:
        sheet.save(file)
    except (OSError, ValueError) as error:
        raise DataError(f"The contact sheet {file} cannot be written ({error}); name a file like sheet.png.") from error


def _draw_strip(sheet: Image.Image, moment: Moment, top: int) -> None:
    try:
        with local_copy(moment.video) as path:
            images = read_excerpt(path, moment.start, moment.end, FRAMES)
    except DataError as error:
        draw = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(FONT_SIZE)
        draw.text((GAP, top + GAP), _fit(draw, f"not shown: {error}", font, WIDTH - 2 * GAP), GREY, font)
        return
    for number, image in enumerate(images):
        sheet.paste(_tile(image), (GAP + number * (TILE[0] + GAP), top))


def _tile(image: np.ndarray) -> Image.Image:
    """Fit a whole frame into a tile."""
    return ImageOps.pad(Image.fromarray(image), TILE, color="#eeeeee")


def _fit(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """Shorten a text at its begin, where paths are alike, until it fits."""
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(f"...{text}", font) > room:
        text = text[1:]
    return f"...{text}"
