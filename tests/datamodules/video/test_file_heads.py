"""Files that cannot be videos are found without decoding."""

import pytest

from datamodules.errors import DataError
from datamodules.splits.split import VideoRecord
from datamodules.video.file_heads import check_heads


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.webm", "a.ts", "a.mov"])
def test_accepts_every_container(videos, tmp_path, name):
    codec = {"a.webm": "libvpx-vp9", "a.avi": "mpeg4"}.get(name, "libx264")
    path = videos.write(tmp_path / name, 2, codec=codec)
    check_heads([VideoRecord(str(path), name, 0)])


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "an empty file"), (b"no video\n" * 99, "a text file"), (None, "No such")]
)
def test_raises_on_other_files(videos, tmp_path, content, reason):
    records = [VideoRecord(str(videos.write(tmp_path / "good.mp4", 2)), "good.mp4", 0)]
    for number in range(7):
        path = tmp_path / f"bad{number}.mp4"
        if content is not None:
            path.write_bytes(content)
        records.append(VideoRecord(str(path), path.name, 0))
    with pytest.raises(DataError, match=rf"7 of the 8 clips cannot be videos.*{reason}.*bad0\.mp4.*bad4\.mp4, \.\.\.;"):
        check_heads(records)
    check_heads(records, skips_bad=True)  # the good one is left
    with pytest.raises(DataError, match=r"^7 of the 7 clips .* skipping would leave no clip\.$"):
        check_heads(records[1:], skips_bad=True)


@pytest.mark.parametrize(("num_bad", "named"), [(5, r"bad3\.mp4, bad4\.mp4;"), (6, r"bad4\.mp4, \.\.\.;")])
def test_names_five_files(tmp_path, num_bad, named):
    for number in range(num_bad):
        (tmp_path / f"bad{number}.mp4").touch()
    with pytest.raises(DataError, match=named):
        check_heads([VideoRecord(str(tmp_path / f"bad{n}.mp4"), f"bad{n}.mp4", 0) for n in range(num_bad)])
