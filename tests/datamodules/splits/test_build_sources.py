"""Few-shot, base-to-novel, zero-shot, temporal and static: lists, classes and rephrased names of each setting."""

import json

import pytest

from datamodules import (
    DataError,
    HMDB51DataModule,
    Kinetics400DataModule,
    Kinetics600DataModule,
    SSv2DataModule,
    UCF101DataModule,
)
from datamodules.check.lists import read_lists
from datamodules.splits.build_sources import build_sources, find_training_split

# Base and novel halves count from 0 each, in an order of their own.
NAMES, BASE, NOVEL = (
    ("climb stairs", "draw sword", "hug", "wave", "walk"),
    ("wave", "hug", "walk"),
    ("draw sword", "climb stairs"),
)


@pytest.fixture
def hmdb(made, tmp_path):
    """Published lists of five classes: a root, and a directory of lists."""
    root, lists = tmp_path / "root", tmp_path / "lists"
    spelled = [name.replace(" ", "_") for name in NAMES]
    made.touch(root, *(f"{name}_{n}.avi" for name in spelled for n in range(20)))
    counts = {"base": dict.fromkeys(BASE, 16), "novel": dict.fromkeys(("draw_sword", "climb_stairs"), 6)}
    splits, halves = "datasets_splits/hmdb_splits/", "datasets_splits/base2novel_splits/hmdb_splits/"
    files = {
        "labels/hmdb_51_labels.csv": made.labels(*NAMES),
        "labels/hmdb_51_base_labels.csv": made.labels(*BASE),
        "labels/hmdb_51_novel_labels.csv": made.labels(*NOVEL),
        f"{splits}val1.txt": made.listed(**dict.fromkeys(spelled, 4)),
        f"{splits}train1_few_shot_2.txt": made.listed(**dict.fromkeys(spelled, 2)),
        f"{halves}base_val.txt": made.listed(**dict.fromkeys(BASE, 5)),
        f"{halves}novel_val.txt": made.listed(**counts["novel"]),
    }
    files |= {f"{halves}fs_base_s{s}_train.txt": made.listed(**counts["base"]) for s in (1, 2, 3)}
    return root, made.write(lists, files)


def ready(kind, root, lists=None, stage=None, **settings):
    data = kind(str(root), splits_dir=lists and str(lists), **settings)
    data.setup(stage)
    return data


def names_file(folder, *names, file="names.json"):
    (folder / file).write_text(json.dumps(dict(enumerate(names))))
    return str(folder / file)


def test_few_shot(hmdb):
    data = ready(HMDB51DataModule, *hmdb, num_shots=2)
    assert len(data.datasets["train"]) == 2 * 5 and len(data.test_datasets[0]) == 5 * 4


@pytest.mark.parametrize("split", [1, 2, 3])
def test_base_to_novel(hmdb, split):
    data = ready(HMDB51DataModule, *hmdb, setting="base_to_novel", num_shots=16, split=split)
    assert data.class_names == list(BASE) and len(data.datasets["train"]) == 16 * 3
    assert [(entry.name, entry.class_names) for entry in data.test_sets] == [
        ("hmdb51/base", list(BASE)),
        ("hmdb51/novel", list(NOVEL)),
    ]
    assert [len(dataset) for dataset in data.test_datasets] == [3 * 5, 2 * 6] and len(data.datasets["val"]) == 3 * 5
    for dataset, names in zip(data.test_datasets, (BASE, NOVEL), strict=True):
        spelled = [name.replace(" ", "_") for name in names]
        assert all(record.video_id.startswith(spelled[record.label]) for record in dataset.records)
    summary = data.summary()
    assert summary["setting"] == "base_to_novel" and list(summary["splits"]) == ["train", "hmdb51/base", "hmdb51/novel"]


def test_base_to_novel_from_own_annotations(made, tmp_path):
    draws, root = [], made.ucf101(tmp_path, classes=("ApplyEyeMakeup", "BasketballDunk", "TaiChi", "YoYo"))
    for split in (1, 2, 1):
        data = ready(UCF101DataModule, root, setting="base_to_novel", num_shots=2, split=split)
        base, novel = (entry.class_names for entry in data.test_sets)
        assert len(base) == len(novel) == 2 and not set(base) & set(novel) and data.class_names == base
        assert [len(dataset) for dataset in data.test_datasets] == [2 * 2, 2 * 2]
        assert {record.label for record in data.test_datasets[1].records} == {0, 1}
        tested = [record.video_id for dataset in data.test_datasets for record in dataset.records]
        assert all("_g01_" in clip or "_g02_" in clip for clip in tested)  # of split 1, whatever the base list
        draws.append([record.video_id for record in data.datasets["train"].records])
    assert len(draws[0]) == 2 * 2 and draws[0] == draws[2] != draws[1]


def test_whole_base_split_from_annotations_with_published_halves(made, tmp_path):
    root, names = made.kinetics(tmp_path / "root"), ("zumba", "abseiling")
    lists = made.write(tmp_path / "lists", {"labels/kinetics_400_base_labels.csv": made.labels(*names)})
    request = Kinetics400DataModule(str(root), str(lists), setting="base_to_novel").request
    entries = find_training_split(request, build_sources(request).train).entries
    assert len(entries) == 2 * 5 and {entry.label for entry in entries if "tr_0" in entry.name} == {1}


def test_zero_shot_tests_three_splits_from_all_directories(made, tmp_path):
    clips = {"train": "train/a_0.avi", "val": "val/b_0.avi", "test": "test/c_0.avi"}
    made.touch(tmp_path / "root", *clips.values())
    lists = {}
    for split in (1, 2, 3):
        names = [f"skill {split}", "bowling", "curling"]
        lists[f"labels/ZS_split{split}_K600.csv"] = made.labels(*names)
        text = "".join(f"{clip} {label}\n" for label, clip in enumerate(clips.values()))
        lists[f"datasets_splits/k600_splits/ZS_split{split}_K600_eval.txt"] = text
    settings = dict(lists=made.write(tmp_path / "lists", lists), setting="zero_shot")
    data = ready(Kinetics600DataModule, tmp_path / "root", stage="test", test_splits=[1, 2, 3], **settings)
    assert [entry.name for entry in data.test_sets] == [f"kinetics600/split{split}" for split in (1, 2, 3)]
    assert [entry.class_names[0] for entry in data.test_sets] == ["skill 1", "skill 2", "skill 3"]
    with pytest.raises(DataError, match="only tested on"):
        ready(Kinetics600DataModule, tmp_path / "root", stage="fit", **settings)


@pytest.mark.parametrize("subset", ["temporal18", "static16"])
def test_temporal_and_static_subsets(made, tmp_path, subset):
    made.touch(tmp_path / "root", *(f"{name}_{n}.avi" for name in "ab" for n in range(4)))
    folder = "datasets_splits/temporal_static_splits/ssv2_splits"
    lists = {
        f"labels/labels_temporal_static/ssv2_{subset}_labels.csv": made.labels(
            "Folding something", "Tearing something"
        ),
        f"{folder}/train_{subset}.txt": made.listed(a=3, b=4),
        f"{folder}/validation_{subset}.txt": made.listed(a=1, b=2),
    }
    settings = dict(lists=made.write(tmp_path / "lists", lists), setting=subset.rstrip("0123456789"))
    data = ready(SSv2DataModule, tmp_path / "root", **settings)
    assert data.test_sets[0].name == f"ssv2/{settings['setting']}" and data.num_classes == 2
    assert len(data.datasets["train"]) == 3 + 4 and len(data.test_datasets[0]) == 1 + 2
    # No K-shot lists of the subsets are published: the shots are drawn from the published training list.
    drawn = [
        ready(SSv2DataModule, tmp_path / "root", num_shots=2, seed=s, **settings).datasets["train"] for s in (1, 1)
    ]
    assert drawn[0].records == drawn[1].records
    assert sorted(record.label for record in drawn[0].records) == [0, 0, 1, 1]
    with pytest.raises(DataError, match="fewer than the 4 shots"):
        ready(SSv2DataModule, tmp_path / "root", num_shots=4, **settings)


LONG = [f"a person doing {name}" for name in NAMES]


def test_rephrased_names_of_all_classes_work_for_the_halves(hmdb, tmp_path):
    settings = dict(setting="base_to_novel", label_file=names_file(tmp_path, *LONG))
    tests = build_sources(HMDB51DataModule(*map(str, hmdb), **settings).request).tests
    assert list(tests) == ["base", "novel"]
    base, novel = (source.class_names for source in tests.values())
    assert base == ["a person doing wave", "a person doing hug", "a person doing walk"]
    assert novel == ["a person doing draw sword", "a person doing climb stairs"]


def test_rephrased_names_of_all_classes_need_no_second_split(made, tmp_path):
    root = made.ucf101(tmp_path / "root")
    for part in ("train", "test"):
        (root / f"lists/{part}list02.txt").unlink()
    names = names_file(tmp_path, "make up", "dunk", "yo yo")
    data = UCF101DataModule(str(root), setting="base_to_novel", label_file=names)
    found = [name for source in build_sources(data.request).tests.values() for name in source.class_names]
    assert sorted(found) == ["dunk", "make up", "yo yo"]


def test_rephrased_names_of_each_half(hmdb, tmp_path):
    names_file(tmp_path, "x", "y", "z", file="base.json"), names_file(tmp_path, "u", "v", file="novel.json")
    data = HMDB51DataModule(*map(str, hmdb), setting="base_to_novel", label_file=str(tmp_path / "{part}.json"))
    assert [s.class_names for s in build_sources(data.request).tests.values()] == [["x", "y", "z"], ["u", "v"]]


def test_raises_on_rephrased_names_of_the_wrong_length_or_order(hmdb, made, tmp_path):
    for names, setting, sentence in (
        (LONG[:4], "standard", "names 4 classes, but the dataset has 5"),
        (LONG[:4], "base_to_novel", "names 4 classes, but the dataset has 5"),
        (BASE, "standard", "names 3 classes, but the dataset has 5"),
        (NAMES[::-1], "base_to_novel", "in another order than the labels: class 0 is 'walk'"),
        (BASE[::-1], "base_to_novel", "in another order"),
    ):
        with pytest.raises(DataError, match=sentence):
            ready(HMDB51DataModule, *hmdb, setting=setting, label_file=names_file(tmp_path, *names), stage="test")


def test_raises_on_a_setting_that_the_dataset_lacks(hmdb, made, tmp_path):
    root, lists = hmdb
    kinetics = made.kinetics(tmp_path / "k")
    for kind, folder, settings, sentence in (
        (HMDB51DataModule, root, dict(setting="temporal"), "choose one of standard, base_to_novel"),
        (Kinetics400DataModule, kinetics, dict(setting="static"), "published lists; give a copy"),
        (Kinetics400DataModule, kinetics, dict(split=2), "kinetics400 has one split here"),
        (
            Kinetics400DataModule,
            kinetics,
            dict(test_splits=[1]),
            "has one test split here; leave out --data.test_splits",
        ),
    ):
        with pytest.raises(DataError, match=sentence):
            ready(kind, folder, **settings)
    with pytest.raises(DataError, match=r"has 16 clips in .*, not the 8 shots"):
        ready(HMDB51DataModule, root, lists, setting="base_to_novel", num_shots=8)


def test_raises_on_base_lists_with_the_labels_of_all_classes(hmdb, made):
    root, lists = hmdb
    made.write(lists, {"labels/hmdb_51_base_labels.csv": made.labels(*NAMES)})
    with pytest.raises(DataError, match=r"2 of the 5 classes have no training clip .* 'wave', 'walk'"):
        ready(HMDB51DataModule, root, lists, "fit", setting="base_to_novel", num_shots=16)
    with pytest.raises(DataError, match="classes 0 to 2, but there are 5 class names"):
        ready(HMDB51DataModule, root, lists, "test", setting="base_to_novel")


def test_raises_on_labels_in_another_order_than_the_class_folders(made, tmp_path):
    made.touch(tmp_path / "root", *(f"{name}/{name}_{n}.avi" for name in ("hug", "wave") for n in range(2)))
    lists = {
        "labels/hmdb_51_labels.csv": made.labels("wave", "hug"),
        "datasets_splits/hmdb_splits/val1.txt": made.listed(hug=2, wave=2),
    }
    with pytest.raises(DataError, match=r"hug/hug_0\.avi the label 0, which is 'wave', and 4 of 4 clips"):
        ready(HMDB51DataModule, tmp_path / "root", made.write(tmp_path / "lists", lists), "test")


# Lists of pseudo-labels


@pytest.fixture
def folders(made, tmp_path):
    """Two classes in folders, and lists that test them."""
    root = tmp_path / "root"
    made.touch(root, *(f"{name}/{name}_{n}.avi" for name in ("hug", "wave") for n in range(4)))
    lists = {
        "labels/hmdb_51_labels.csv": made.labels("hug", "wave"),
        "datasets_splits/hmdb_splits/val1.txt": "hug_0.avi 0\nwave_0.avi 1\n",
    }
    return root, made.write(tmp_path / "lists", lists)


def test_pseudo_labels_replace_the_training_list(folders, tmp_path):
    (tmp_path / "pseudo.txt").write_text("hug/hug_1.avi 1\nhug_2.avi 1\nwave_3.avi 1\n")  # against most folders
    data = ready(HMDB51DataModule, *folders, pseudo_labels=str(tmp_path / "pseudo.txt"))
    trained = [(record.video_id, record.label) for record in data.datasets["train"].records]
    assert trained == [("hug/hug_1.avi", 1), ("hug/hug_2.avi", 1), ("wave/wave_3.avi", 1)]
    assert [record.label for record in data.test_datasets[0].records] == [0, 1]
    assert data.summary()["splits"]["train"]["files"] == ["pseudo.txt"]
    checked = read_lists(data.requests)
    assert [(of.name, len(of.records), [str(p.kind) for p in of.problems]) for of in checked] == [
        ("train", 3, []),
        ("hmdb51/split1", 2, []),
    ]


def test_answers_of_recognize_are_pseudo_labels(folders, tmp_path):
    rows = [f"{folders[0]}/hug/hug_1.avi,wave,1,wave,0.9,", "hug_2.avi,hug,1,hug,0.8,", "wave_3.avi,hug,1,hug,0.6,"]
    (tmp_path / "pseudo.csv").write_text("\n".join(["video,answer,rank,label,probability,error", *rows]))
    data = ready(HMDB51DataModule, *folders, pseudo_labels=str(tmp_path / "pseudo.csv"))
    trained = [(record.video_id, record.label) for record in data.datasets["train"].records]
    assert trained == [("hug/hug_1.avi", 1), ("hug/hug_2.avi", 0), ("wave/wave_3.avi", 0)]


def test_raises_on_pseudo_labels_without_a_class_or_with_shots(folders, tmp_path):
    (tmp_path / "pseudo.txt").write_text("hug_1.avi 2\n")
    with pytest.raises(DataError, match=r"the label 2, but there are only 2 classes"):
        ready(HMDB51DataModule, *folders, pseudo_labels=str(tmp_path / "pseudo.txt"))
    with pytest.raises(DataError, match="No shots are drawn from a list of pseudo-labels"):
        ready(HMDB51DataModule, *folders, pseudo_labels=str(tmp_path / "pseudo.txt"), num_shots=2)
    with pytest.raises(DataError, match=r"none\.txt"):
        ready(HMDB51DataModule, *folders, pseudo_labels=str(tmp_path / "none.txt"))
