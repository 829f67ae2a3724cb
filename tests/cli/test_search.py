"""`tcclip index` and `tcclip search`: from films to moments, and one sentence for each mistake."""

import json

import pytest

from .conftest import sentence

QUICK = ("--device", "cpu", "--num_workers", "0")


@pytest.fixture
def films(demo, tmp_path):
    """Three films of each of ten actions, and a damaged file."""
    for folder in sorted((demo / "data" / "videos").iterdir()):
        (tmp_path / "films" / folder.name).mkdir(parents=True)
        for n, film in enumerate(sorted(folder.iterdir())[:3]):
            (tmp_path / "films" / folder.name / f"{n}.mp4").write_bytes(film.read_bytes())
    (tmp_path / "films" / "bad.mp4").write_text("no video")
    return tmp_path / "films"


@pytest.fixture
def index(films, run):
    def index(*argv):
        return run("index", *argv, *QUICK, on_demo=False)

    return index


@pytest.fixture
def search(run):
    def search(*argv):
        return run("search", *argv, "--device", "cpu", on_demo=False)

    return search


def test_words_find_their_films(index, search, films, tmp_path):
    code, out, err = index("films", "idx")
    assert code == 0 and out == "idx: 30 videos, 30 windows (30 new, 1 not read).\n"
    assert "No --model: world is used" in err and f"Not read: {films}/bad.mp4 cannot be decoded" in err
    code, out, err = search("idx", "showing a red disc", "--top", 3, "--format", "json", "--sheet", "sheet.png")
    assert code == 0, err
    found = json.loads(out)
    assert {row["video"] for row in found} == {f"{films}/showing_a_red_disc/{n}.mp4" for n in range(3)}
    assert all(row["start"] == 0 and row["end"] == pytest.approx(2) for row in found)
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    code, out, _ = search("idx", "showing a red disc", "--top", 3)
    assert code == 0 and out.count("films/showing_a_red_disc/") == 3 and str(tmp_path) not in out
    assert max(map(len, out.splitlines())) <= 80


def test_an_example_finds_itself(index, search, films):
    hearts, discs = (f"films/showing_a_{what}" for what in ("yellow_heart", "red_disc"))
    index(hearts, discs, "idx", "--window", 1)
    code, out, err = search("idx", "--like", "films/showing_a_yellow_heart/1.mp4", "--format", "json", "--top", 1)
    assert code == 0, err
    assert json.loads(out)[0]["video"] == f"{films}/showing_a_yellow_heart/1.mp4"


def test_the_same_command_follows_the_folder(index, films):
    index("films", "idx", "--window", 1, "--stride", 0.5)
    (films / "bad.mp4").unlink()
    (films / "showing_a_red_disc" / "0.mp4").unlink()
    (films / "showing_a_red_disc" / "1.mp4").write_bytes((films / "showing_a_red_disc" / "2.mp4").read_bytes())
    code, out, _ = index("films", "idx")
    assert code == 0 and out == "idx: 29 videos, 87 windows (0 new, 1 changed, 1 deleted, 28 unchanged).\n"


def test_another_model_is_refused(index, search, demo, films):
    index("films/showing_a_red_disc", "idx")
    assert "idx was made by world (weights" in sentence(index("films", "idx", "--model", demo / "tiny_clip"))
    assert "use that model" in sentence(search("idx", "a star", "--model", demo / "tiny_clip"))
    assert "was made with --window 10, not 2" in sentence(index("films", "idx", "--window", 2))


def test_nothing_read_is_exit_code_1(index, search):
    code, out, _ = index("films/bad.mp4", "idx")
    assert code == 1 and out == "idx: 0 videos, 0 windows (0 new, 1 not read).\n"
    assert sentence(search("idx", "a")) == "tcclip: idx has no videos yet; add some by `tcclip index`."


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("index films", "Give videos and then the folder of the index"),
        ("index none idx", "There is no video or folder none; check the path."),
        ("index films films", "films has files, but no index.json: name a new folder for the index."),
        ("index films idx --window 0", "--window is 0; it must be a positive number of seconds."),
        ("index films idx --stride 11", "--stride 11 leaves gaps between windows of 10 s; make it shorter."),
        ("index films idx --modle a", "There is no configuration key modle; did you mean model?"),
        ("index films idx --model films", "films holds neither a model (config.json) nor a run"),
        ("search idx", "Give an index, and words or --like VIDEO"),
        ("search idx a --like b", "Give an index, and words or --like VIDEO"),
        ("search idx a", "idx is no index (No such file or directory: idx/index.json); write one by `tcclip index`."),
        ("search idx a --format csv", "--format is 'csv'; choose one of table, json."),
        ("search idx a --top 0", "--top is 0; it must be at least 1."),
    ],
)
def test_mistake_is_one_sentence(run, films, argv, expected):
    assert sentence(run(*argv.split(), on_demo=False)).startswith(f"tcclip: {expected}")
