"""Bags of words: their files in both forms, and the draw."""

import json
from collections import Counter

import pytest

from tc_clip_pl.training.objectives.text_bags import ClipWords, draw_bag, join_words, read_class_words


def test_words_of_classes_from_json_and_from_a_folder(tmp_path):
    (tmp_path / "words.json").write_text(json.dumps({"golf": ["swing", "putt"], "Ride_Bike": [" pedal "], "x": []}))
    expected = [["pedal"], ["swing", "putt"]]
    assert read_class_words(tmp_path / "words.json", ["ride bike", "golf"]) == expected
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "golf.txt").write_text("swing\nputt\n\n")
    (folder / "ride bike.txt").write_text("pedal\n")
    assert read_class_words(folder, ["ride bike", "golf"]) == expected
    with pytest.raises(ValueError, match=r"words has no words for 2 of the 3 classes, such as 'run'"):
        read_class_words(folder, ["run", "golf", "swim"])


def test_words_of_clips_from_json_and_from_a_folder(tmp_path):
    (tmp_path / "words.json").write_text(json.dumps({"a_000001": ["ride", "jump"], "b": []}))
    (tmp_path / "words" / "golf").mkdir(parents=True)
    (tmp_path / "words" / "golf" / "a_000001.txt").write_text("ride\njump\n")
    (tmp_path / "words" / "golf" / "b.txt").write_text("")
    for source in ("words.json", "words"):
        words = ClipWords(tmp_path / source)
        assert words.of("golf/a_000001.mp4") == ["ride", "jump"] and words.of("b.avi") == []
        with pytest.raises(ValueError, match=rf"{source} has no words for 1 of the training clips, such as x/c.mp4"):
            words.check(["b.mp4", "x/c.mp4"])
    (tmp_path / "words" / "b.txt").write_text("")
    with pytest.raises(ValueError, match="are of a clip b: remove one"):
        ClipWords(tmp_path / "words")


def test_words_are_joined_once_and_without_the_class_name():
    assert join_words("brush hair", ["comb", "Brush hair"], ["cut", "comb", "brush"]) == ["comb", "cut", "brush"]
    assert join_words("brush hair", [], []) == []


def test_bags_repeat_whole_lists_and_draw_the_rest():
    words = ["a", "b", "c", "d", "e"]
    bag = draw_bag(words, 16, seed=1)
    assert bag[:15] == words * 3 and len(bag) == 16
    assert len(set(draw_bag(words, 4, seed=1))) == 4  # without replacement
    drawn = Counter(word for seed in range(500) for word in draw_bag(words, 1, seed))
    assert min(drawn.values()) > 70
    assert draw_bag(words, 3, seed=5) == draw_bag(words, 3, seed=5)
    assert draw_bag([], 4, seed=0) == []
