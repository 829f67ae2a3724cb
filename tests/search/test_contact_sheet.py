"""The contact sheet shows the frames of each moment, and says which file is gone."""

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.synthetic.video_files import write_video
from tc_clip_pl.search.contact_sheet import FRAMES, GAP, LINE, TILE, WIDTH, draw_contact_sheet, save_contact_sheet
from tc_clip_pl.search.moments import Moment


def test_strips_show_the_moment(tmp_path):
    levels = np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 8)  # 10 s, each second brighter
    write_video(tmp_path / "a.mp4", np.broadcast_to(levels[:, None, None, None], (80, 48, 64, 3)).copy(), 8)
    moments = [Moment(str(tmp_path / "a.mp4"), 4.0, 9.0, 0.5), Moment(str(tmp_path / "gone.mp4"), 0, 1, 0.4)]
    sheet = np.asarray(draw_contact_sheet("q" * 300, moments, ["a.mp4", "deep/" * 90 + "gone.mp4"]))
    assert sheet.shape == (LINE + GAP + 2 * (LINE + TILE[1] + 2 * GAP), WIDTH, 3)
    row = LINE + GAP + LINE + GAP + TILE[1] // 2
    shown = [int(sheet[row, GAP + n * (TILE[0] + GAP) + TILE[0] // 2].mean()) for n in range(FRAMES)]
    assert shown == pytest.approx([100, 125, 150, 175, 200], abs=6)
    gone = sheet[-TILE[1] - GAP :]  # the strip of the second one has a line of text, and no frames
    assert (gone[: LINE + GAP].min(-1) < 200).any() and (gone[LINE + 2 * GAP :] == 255).all()


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be written .*name a file like sheet\.png"):
        save_contact_sheet(tmp_path / "a.nothing", Image.new("RGB", (4, 4)))
