"""Clips that could not be read are reported."""

from types import SimpleNamespace

from tc_clip_pl.training.skipped_clips import SkippedClips


def test_skipped_clips_are_listed_once_each():
    callback = SkippedClips()
    assert callback.report() is None
    for skipped in (["a.avi: empty"], [], ["a.avi: empty", "b.avi: truncated"]):
        callback.on_test_batch_end(None, None, None, SimpleNamespace(skipped=skipped), 0)
    assert callback.report().splitlines()[1:] == ["  a.avi: empty", "  b.avi: truncated"]
    assert callback.report().startswith("2 clip(s)")
