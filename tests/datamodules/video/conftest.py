"""Videos in every kind of container, with and without B-frames."""

import pytest

X264 = {"bf": "3", "g": "12", "b-adapt": "0", "sc_threshold": "0"}
CONTAINERS = {
    "mp4_b_frames_key_frames": dict(name="a.mp4", count=60, options=X264),
    "mp4_one_key_frame": dict(name="a.mp4", count=60, options={"bf": "2", "g": "250"}),
    "mp4_no_b_frames": dict(name="a.mp4", count=40, options={"bf": "0", "g": "10"}),
    "mp4_b_pyramid": dict(name="a.mp4", count=60, options={**X264, "x264-params": "b-pyramid=normal:ref=4"}),
    "mkv_open_gop": dict(name="a.mkv", count=60, options={**X264, "x264-params": "open-gop=1"}),
    "mp4_variable_rate": dict(name="a.mp4", count=50, options=X264, gap=lambda n: 20 + 37 * (n % 5)),
    "mkv_variable_rate": dict(name="a.mkv", count=50, options=X264, gap=lambda n: 20 + 37 * (n % 5)),
    "avi_mpeg4_b_frames": dict(name="a.avi", count=60, codec="mpeg4", options={"bf": "2", "g": "12", "b": "2M"}),
    "avi_h264_b_frames": dict(name="a.avi", count=60, options=X264),
    "mp4_mpeg4_b_frames": dict(name="a.mp4", count=60, codec="mpeg4", options={"bf": "2", "g": "12", "b": "2M"}),
    "transport_stream": dict(name="a.ts", count=60, options=X264),
    "webm_vp9": dict(name="a.webm", count=30, codec="libvpx-vp9", options={"g": "10", "deadline": "realtime"}),
    "webm_vp8_hidden_frames": dict(
        name="a.webm", count=40, codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "16", "b": "1M"}
    ),
    "odd_size": dict(name="a.mp4", count=20, options=X264, size=(131, 67), pix_fmt="yuv444p"),
    "three_frames": dict(name="a.mp4", count=3, options={"bf": "2"}),
    "one_frame": dict(name="a.mp4", count=1),
}


@pytest.fixture(scope="session")
def containers():
    """The settings of each kind: the name of its file, and arguments of `videos.write`."""
    return CONTAINERS


@pytest.fixture(scope="module", params=CONTAINERS)
def numbered(request, tmp_path_factory, videos):
    case = dict(CONTAINERS[request.param])
    path = tmp_path_factory.mktemp(request.param) / case.pop("name")
    return videos.write(path, **case), case["count"]
