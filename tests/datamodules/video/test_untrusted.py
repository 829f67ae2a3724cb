"""Of files from strangers, only those that hold a video themselves are opened."""

import pytest

from datamodules.errors import DataError
from datamodules.video.untrusted import measure_untrusted

from ..conftest import write_numbered


def test_videos_are_measured(tmp_path):
    assert measure_untrusted(write_numbered(tmp_path / "a.mp4", 50)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "playlist", ["#EXTM3U\n#EXTINF:2,\na.mp4\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile a.mp4\n"]
)
def test_playlists_do_not_lead_to_other_files(tmp_path, playlist):
    write_numbered(tmp_path / "a.mp4", 50)
    (tmp_path / "list.mp4").write_text(playlist)
    with pytest.raises(DataError, match=r"list\.mp4 is no video \(.*\); choose an MP4 or a WebM file"):
        measure_untrusted(tmp_path / "list.mp4")


def test_text_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(DataError, match=r"a\.mp4 is no video"):
        measure_untrusted(tmp_path / "a.mp4")
