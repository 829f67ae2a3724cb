"""Which tokens of other frames each choice adds."""

import pytest

from tc_clip_pl.ops.reference_tokens import REFERENCE_TOKENS


def others(frame, frames=4):
    return [t for t in range(frames) if t != frame]


def positions(name, frames=4, tokens=3):
    """For each frame the set of (frame, token) pairs that it attends to besides itself."""
    rows = REFERENCE_TOKENS[name](frames, tokens).tolist()
    assert all(len(set(row)) == len(row) for row in rows)
    return [{divmod(position, tokens) for position in row} for row in rows]


def test_cls_of_all_other_frames():
    assert positions("cls") == [{(t, 0) for t in others(frame)} for frame in range(4)]


def test_patches_of_all_other_frames():
    assert positions("all") == [{(t, i) for t in others(frame) for i in (1, 2)} for frame in range(4)]


def test_patches_of_the_neighbors():
    neighbors = [(1, 2), (0, 2), (1, 3), (1, 2)]
    assert positions("adjacent") == [{(t, i) for t in pair for i in (1, 2)} for pair in neighbors]
    assert positions("adjacent", frames=3) == positions("all", frames=3)


def test_all_tokens_of_the_neighbors_and_nothing_beyond_the_ends():
    missing = 4 * 3  # the index of a zero key
    rows = REFERENCE_TOKENS["window"](4, 3).tolist()
    assert rows[0] == [missing] * 3 + [3, 4, 5]
    assert rows[1] == [0, 1, 2, 6, 7, 8]
    assert rows[3] == [6, 7, 8] + [missing] * 3
    assert REFERENCE_TOKENS["window"](1, 3).tolist() == [[3] * 6]


def test_raises_on_too_few_frames_for_neighbors():
    with pytest.raises(ValueError, match="at least 3 frames, not 2"):
        REFERENCE_TOKENS["adjacent"](2, 3)


@pytest.mark.parametrize("name", ["none", "context"])
def test_no_tokens_of_other_frames(name):
    assert REFERENCE_TOKENS[name](4, 3) is None
