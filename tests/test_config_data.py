"""Every shipped configuration, with every K and split of the sweeps, builds its data on datasets as published.

The lists and labels have the names and the form of the published ones, and only those that are published exist. They
name a few classes only.
"""

import csv
from pathlib import Path

import pytest

from tc_clip_pl.cli.configs import shipped_configs
from tc_clip_pl.cli.data_module import build_data_parser, parse_data_args
from tc_clip_pl.cli.sweep.plan import read_sweep

HEAD = b"\0\0\0\x18ftypmp42"  # begins as a video does
TRAIN_CLIPS, TEST_CLIPS = 17, 2  # of each class
SHOTS, HALVES = (2, 4, 8, 16), ("base", "novel")
CLASSES = {
    "hmdb": ["brush hair", "cartwheel", "pour", "shoot bow"],
    "ucf": ["ApplyEyeMakeup", "PlayingViolin", "Typing", "YoYo"],
    "ssv2": ["Folding something", "Holding something", "Poking a hole into some substance", "Pushing something"],
    "k400": ["abseiling", "getting a tattoo", "tying bow tie", "zumba"],
    "k600": ["acting in play", "adjusting glasses", "alligator wrestling"],
}
LABELS = {"hmdb": "hmdb_51", "ucf": "ucf_101", "ssv2": "ssv2_174", "k400": "kinetics_400"}


def clip_name(dataset, label, number, part):
    """The name of a clip as the published lists have it."""
    name = CLASSES[dataset][label].replace(" ", "_")
    index = 100 * label + number + (50 if part == "val" else 0)
    return {
        "hmdb": f"Some_video_{name}_u_nm_np1_ba_goo_{index}.avi",
        "ucf": f"v_{name}_g{index:03d}_c01.avi",
        "ssv2": f"{index + 1}.webm",
    }.get(dataset, f"{part}/-{dataset}aB_{index:04d}_{number:06d}_{number + 10:06d}.mp4")


def clips(dataset, part, labels=None, count=None):
    """(clip, label) of a list of some classes, renumbered from 0."""
    labels = range(len(CLASSES[dataset])) if labels is None else labels
    count = count or {"train": TRAIN_CLIPS, "val": TEST_CLIPS}[part]
    return [(clip_name(dataset, label, n, part), new) for new, label in enumerate(labels) for n in range(count)]


def write_list(file, entries):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{clip} {label}\n" for clip, label in entries))


def write_labels(file, names):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("id,name\n" + "".join(f"{label},{name}\n" for label, name in enumerate(names)))


def write_half(folder, dataset, half):
    """The lists of base or novel classes: Kinetics has no whole list of the base classes."""
    labels = (0, 2) if half == "base" else (1, 3)
    splits = folder / f"datasets_splits/base2novel_splits/{dataset}_splits"
    write_labels(folder / f"labels/{LABELS[dataset]}_{half}_labels.csv", [CLASSES[dataset][n] for n in labels])
    write_list(splits / f"{half}_val.txt", clips(dataset, "val", labels))
    if half == "base":
        for number in (1, 2, 3):
            write_list(splits / f"fs_base_s{number}_train.txt", clips(dataset, "train", labels, count=16))
        if dataset != "k400":
            write_list(splits / "base_train.txt", clips(dataset, "train", labels))


def write_subset(folder, dataset, labels, subset, evaluation):
    splits = folder / f"datasets_splits/temporal_static_splits/{dataset}_splits"
    names = [CLASSES[dataset][n] for n in (1, 3)]
    write_labels(folder / f"labels/labels_temporal_static/{labels}_{subset}_labels.csv", names)
    write_list(splits / f"train_{subset}.txt", clips(dataset, "train", (1, 3)))
    write_list(splits / f"{evaluation}_{subset}.txt", clips(dataset, "val", (1, 3)))


def write_splits(folder):
    """The published lists and labels."""
    lists = folder / "datasets_splits"
    for dataset, labels in LABELS.items():
        for half in HALVES:
            write_half(folder, dataset, half)
        write_labels(folder / f"labels/{'ssv2' if dataset == 'ssv2' else labels}_labels.csv", CLASSES[dataset])
        for shots in SHOTS if dataset != "k400" else ():
            few = clips(dataset, "train", count=shots)
            write_list(lists / f"{dataset}_splits/train1_few_shot_{shots}.txt", few)
    for name in [f"{dataset}_splits/val{split}" for dataset in ("hmdb", "ucf") for split in (1, 2, 3)]:
        write_list(lists / f"{name}.txt", clips(name.partition("_")[0], "val"))
    write_list(lists / "ssv2_splits/validation.txt", clips("ssv2", "val"))
    write_list(lists / "k400_splits/val.txt", clips("k400", "val"))
    for split in (1, 2, 3):
        write_labels(folder / f"labels/ZS_split{split}_K600.csv", CLASSES["k600"])
        write_list(lists / f"k600_splits/ZS_split{split}_K600_eval.txt", clips("k600", "val"))
    for subset in ("temporal", "static"):
        write_subset(folder, "ssv2", "ssv2", f"{subset}{18 if subset == 'temporal' else 16}", "validation")
        write_subset(folder, "k400", "kinetics_400", f"{subset}32", "val")


def write_videos(folder):
    """The clips, and the annotations that the training lists which are not published are read from."""
    for dataset in CLASSES:
        for name, _ in (entry for part in ("train", "val") for entry in clips(dataset, part)):
            (folder / dataset / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / dataset / name).write_bytes(HEAD)
    with (folder / "k400/train.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("label", "youtube_id", "time_start", "time_end", "split"))
        for name, label in clips("k400", "train"):
            video, start, end = Path(name).stem.rsplit("_", 2)
            rows.writerow((CLASSES["k400"][label], video, int(start), int(end), "train"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    write_splits(folder / "splits")
    write_videos(folder)
    return folder


@pytest.fixture(scope="module")
def parser():
    return build_data_parser()


def runs(folder="ablations"):
    """(experiment, data options) of every experiment on a public dataset, or of every run of a folder of sweeps."""
    found = {
        (name, ()) for name in shipped_configs() if "/" not in name and name not in ("demo.yaml", "synthetic.yaml")
    }
    for name in shipped_configs():
        for run in read_sweep([name], []).runs([]) if name.startswith(f"{folder}/") else ():
            pairs = list(zip(run.argv[::2], run.argv[1::2], strict=True))
            config, *_ = [Path(value).name for flag, value in pairs if flag == "--config"]  # overlays follow
            if config != "demo.yaml":
                found.add((config, tuple(text for pair in pairs if pair[0].startswith("--data.") for text in pair)))
    return sorted(found)


def place(name, tree):
    """The options that say where the data is."""
    splits = ["--data.splits_dir", tree / "splits"]
    if name != "zero_shot_k400.yaml":
        dataset = next(dataset for dataset in CLASSES if f"_{dataset}" in name)
        return [*splits, "--data.root", tree / dataset]
    tests = [text for test in ("hmdb", "ucf", "k600") for text in (f"--data.tests.{test}.root", tree / test)]
    return [*splits, "--data.train.root", tree / "k400", *tests]


@pytest.mark.parametrize(
    ("name", "options"), runs(), ids=lambda part: part if isinstance(part, str) else " ".join(part) or "alone"
)
def test_builds_its_data(name, options, tree, parser):
    argv = ["--config", name, *map(str, place(name, tree)), *options]
    data, _ = parse_data_args(parser, argv)
    data.setup("fit")
    trained = getattr(data, "train", data)
    shots = trained.request.num_shots or TRAIN_CLIPS
    assert len(trained.datasets["train"]) == shots * data.num_classes
    assert data.num_classes == (2 if trained.request.setting != "standard" else 4)
    loaders = data.test_dataloader()
    sizes = [len(loader.dataset) for loader in (loaders if isinstance(loaders, list) else [loaders])]
    assert sizes == [TEST_CLIPS * len(entry.class_names) for entry in data.test_sets]


DRAWN = [(name, options) for name, options in runs("synthetic") if name == "synthetic.yaml"]


@pytest.mark.parametrize("options", sorted({options for _, options in DRAWN}), ids=" ".join)
def test_draws_its_films(options, parser):
    argv = ["--config", "synthetic.yaml", *options, "--data.train_films", "16", "--data.test_films", "2"]
    data, _ = parse_data_args(parser, argv)
    data.setup("fit")
    assert len(data.datasets["train"]) == (data.num_shots or 16) * data.num_classes
    assert {len(loader.dataset) % 2 for loader in data.test_dataloader()} == {0}


def test_sweeps_cover_every_k_and_split():
    found = runs()
    for dataset in ("hmdb", "ucf", "ssv2"):
        for shots in SHOTS:
            assert (f"few_shot_{dataset}.yaml", ("--data.num_shots", str(shots))) in found
    for dataset in LABELS:
        for split in (1, 2, 3):
            assert (f"base_to_novel_{dataset}.yaml", ("--data.split", str(split))) in found
