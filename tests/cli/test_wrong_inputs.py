"""Wrong input of every kind: one clear sentence, exit code 1, no traceback."""

import shlex

import pytest

from tc_clip_pl.cli import main

FILES = {
    "bad.yaml": b"model: [\n",
    "tab.yaml": b"model:\n\tpretrained: x\n",
    "empty.yaml": b"",
    "comment.yaml": b"# nothing\n",
    "list.yaml": b"- a\n- b\n",
    "text.yaml": b"just text\n",
    "binary.yaml": b"\xff\xfe\x00",
    "dat.yaml": b"dat:\n  root: x\n",
    "daten.yaml": b"daten: x\n",
    "modle.yaml": b"modle:\n  pretrained: x\n",
    "trainer3.yaml": b"trainer: 3\n",
    "null.yaml": b"data: null\n",
    "epochs.yaml": b"trainer:\n  max_epochs: [1]\n",
    "root.yaml": b"root: x\n",
    "pretrained.yaml": b"pretrained: x\n",
    "rooot.yaml": b"data:\n  rooot: x\n",
    "dotted.yaml": b"data.root: x\n",
    "plugins.yaml": b"plugins: {a: 1}\n",
}

WITH_DEMO = [
    ("--data.decoder ffmpeg", "data.decoder takes auto or pyav or decord or torchcodec, not ffmpeg."),
    ("--data.num_spatial_views 2", "data.num_spatial_views takes 1 or 3, not 2."),
    ("--trainer.precision int3", "trainer.precision takes 64 or 32 or 16 or"),
    ("--trainer.precision int3", "or null, not int3."),
    ("--trainer.precision 8", "or null, not 8."),
    ("--model.freeze vision", "model.freeze takes list, not vision."),
    ("--model.config.tc_layers 5", "model.config.tc_layers takes list or tuple or null, not 5."),
    ("--trainer.max_epochs", "The option --trainer.max_epochs has no value: write --trainer.max_epochs VALUE."),
    ("--output_dir", "The option --output_dir has no value"),
    ("--ckpt_path", "The option --ckpt_path has no value"),
    ("--data.root", "has no value"),
    ("'--data.root x'", "has no value"),
    ("--trainer.max_epochs 1.5", "trainer.max_epochs takes int or null, not 1.5."),
    ("--trainer.max_epochs [1,2]", "trainer.max_epochs takes int or null, not [1, 2]."),
    ("--data.batch_size ''", "data.batch_size takes int, not an empty string."),
    ("--data.batch_size 1e3", "data.batch_size takes int, not 1000.0."),
    ("--data.batch_size [8]", "data.batch_size takes int, not [8]."),
    ("--data.batch_size '{a: 1}'", "data.batch_size takes int, not {'a': 1}."),
    ("--data.horizontal_flip maybe", "data.horizontal_flip takes bool or null, not maybe."),
    ("--data.root.x y", "data.root takes str, not y."),
    ("--data.augmentation 5", "data.augmentation takes keys of its own"),
    ("--data.augmentation [1]", "takes keys of its own (KEY: VALUE), not a list."),
    ("--data.augmentation.mix_probabilty 1", "HMDB51DataModule has no key data.augmentation.mix_probabilty"),
    ("--data.split x", "data.split takes int, not x."),
    ("--data.on_bad_video ignore", "data.on_bad_video takes raise or skip, not ignore."),
    ("--model 5", "model takes keys of its own, such as --model.KEY VALUE, not 5."),
    ("--model.config 5", "model.config takes keys of its own"),
    ("--trainer x", "trainer takes keys of its own"),
    ("--trainer '{max_epochs: x}'", "trainer takes keys of its own"),
    ("--ensembling 5", "ensembling takes keys of its own"),
    ("--seed_everything abc", "seed_everything takes bool or int, not abc."),
    ("--trainer.limit_train_batches 0.5.5", "takes int or float or null, not 0.5.5."),
    ("--trainer.devices two", "The Trainer cannot be built: `devices`"),
    ("--trainer.devices 0", "devices='0'"),
    ("--trainer.accelerator tpuu", "accelerator='tpuu'"),
    ("--trainer.strategy dpp", "strategy='dpp'"),
    ("--trainer.max_time 5", "DD:HH:MM:SS"),
    ("--trainer.callbacks 5", "trainer.callbacks takes the name of a class or its import path, not 5."),
    ("--trainer.callbacks+ SpeedMonitr", "not SpeedMonitr; did you mean SpeedMonitor?"),
    ("--trainer.callbacks+ nosuch.Callback", "trainer.callbacks cannot be nosuch.Callback"),
    ("--trainer.callbacks+", "The option --trainer.callbacks+ has no value"),
    ("--trainer.logger Wandb", "did you mean WandbLogger?"),
    ("--model.optimizer AdamX", "model.optimizer takes the name of a class or its import path, not AdamX"),
    ("--model.optimizer 5", "model.optimizer takes the name of a class or its import path, not 5."),
    ("--model.lr_scheduler Textbook", "did you mean TextbookSchedule?"),
    ("--data 5", "data takes the name of a class or its import path, not 5."),
    ("--data ''", "data takes the name of a class or its import path, not an empty string."),
    ("--data FolderDataModul", "not FolderDataModul; did you mean FolderDataModule?"),
    ("--data nosuch.Module", "data cannot be nosuch.Module: No module named 'nosuch'."),
    ("--model.config.seed_selection nosuch", "choose one of averaged_cls_attention"),
    ("--model.config.seed_selection a.b.c", "a.b cannot be imported"),
    ("--protocol nosuch", "no table 'nosuch'"),
    ("--plugins '[a'", "--plugins takes a package, or a list such as [one,two], not [a."),
    ("--plugins 5", "plugins takes names of packages, not 5."),
    ("--ckpt_path .", "checkpoint"),
    ("stray", "Unexpected argument stray: options are written --KEY VALUE."),
    ("mine.yaml", "Unexpected argument mine.yaml; did you mean --config mine.yaml?"),
    ("--", "Unexpected argument --"),
    ("-x", "no configuration key x."),
    ("--daten.root x", "no configuration key daten.root; did you mean data.root?"),
    ("--Data.Root x", "no configuration key Data.Root; did you mean data.root?"),
    ("--modèl.pretrained x", "did you mean model.pretrained?"),
    ("--num_shots 2", "did you mean data.num_shots?"),
    ("--config ''", "--config needs the name of a configuration"),
    ("--config=", "There is no configuration ''"),
    ("--config .", "There is no configuration '.'"),
    ("--config nosuch", "There is no configuration 'nosuch'"),
    ("--config bad.yaml", "The configuration bad.yaml, line 2, is not valid YAML"),
    ("--config tab.yaml", "The configuration tab.yaml, line 2, is not valid YAML"),
    ("--config empty.yaml", "The configuration empty.yaml is empty"),
    ("--config comment.yaml", "The configuration comment.yaml is empty"),
    ("--config list.yaml", "The configuration list.yaml holds no `KEY: VALUE`"),
    ("--config text.yaml", "The configuration text.yaml holds no `KEY: VALUE`"),
    ("--config binary.yaml", "The configuration binary.yaml is not a text file in UTF-8"),
    ("--config dat.yaml", "no configuration key dat.root; did you mean data.root?"),
    ("--config daten.yaml", "no configuration key daten; did you mean data?"),
    ("--config modle.yaml", "did you mean model.pretrained?"),
    ("--config trainer3.yaml", "trainer in trainer3.yaml takes keys of its own, not 3."),
    ("--config epochs.yaml", "trainer.max_epochs takes int or null, not [1]."),
    ("--config root.yaml", "no configuration key root; did you mean data.root?"),
    ("--config pretrained.yaml", "no configuration key pretrained; did you mean model.pretrained?"),
    ("--config rooot.yaml", "HMDB51DataModule has no key data.rooot; did you mean data.root?"),
    ("--config plugins.yaml", "plugins takes names of packages, not {'a': 1}."),
]

WITHOUT_DEMO = [
    ("fit", "Not given: data"),
    ("fit demo.yaml", "Unexpected argument demo.yaml; did you mean --config demo.yaml?"),
    ("fit --data.root videos", "No dataset is given for data.root: choose one with --data NAME or --config NAME."),
    ("fit --config dotted.yaml", "No dataset is given for data.root"),
    ("fit --config null.yaml", "Not given: data"),
    ("fit --data FolderDataModule", "FolderDataModule needs data.root: add --data.root VALUE."),
    ("fit --data FolderDataModul --data.root videos", "did you mean FolderDataModule?"),
    ("fit --config", "--config needs the name of a configuration"),
    ("validate --config demo.yaml --ckpt_path nosuch", "nosuch"),
    (
        "fit --config zero_shot_k400 --data.tests.hmdb51.root X",
        "There is no test set hmdb51 in data.tests (known: hmdb, ucf, k600); did you mean hmdb?",
    ),
    (
        "check --config zero_shot_k400 --data.tests.hmdb51.root X",
        "There is no test set hmdb51 in data.tests (known: hmdb, ucf, k600); did you mean hmdb?",
    ),
    (
        "check --config zero_shot_k400 --data.tests.imagenet.root X",
        "There is no test set imagenet in data.tests (known: hmdb, ucf, k600).",
    ),
    (
        "check --config zero_shot_k400 --data.tests.hmdb X",
        "data.tests.hmdb takes the name of a class or its import path, not X.",
    ),
    ("check --data SyntheticDataModule", "SyntheticDataModule draws its films, so that there are no files to check"),
    ("split --data SyntheticDataModule --output_dir lists", "there are no files to check or split"),
    ("check --data SyntheticDataModule --data.world_seed abc", "data.world_seed takes int, not abc."),
    ("tour list.yaml/demo", "list.yaml/demo cannot be written (Not a directory): name another folder."),
]


@pytest.fixture
def says(run, tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    def says(argv, expected, **kwargs):
        code, out, err = run(*shlex.split(argv), **kwargs)
        assert code == 1
        assert "Traceback" not in out + err
        sentences = [line for line in err.splitlines() if line.startswith("tcclip: ")]
        assert len(sentences) == 1
        assert expected in sentences[0]
        assert not list(tmp_path.glob("outputs/*/*"))

    return says


@pytest.mark.parametrize(("options", "expected"), WITH_DEMO)
def test_wrong_option_or_configuration(says, options, expected):
    says(f"fit {options}", expected)


@pytest.mark.parametrize(("argv", "expected"), WITHOUT_DEMO)
def test_wrong_command_line(says, argv, expected):
    says(argv, expected, on_demo=False)


def test_failed_start_leaves_no_run_folder(says):
    says("fit --data.num_shots 99", "99")  # found in `setup`, where the logger has its folder already


def test_unknown_subcommand_lists_the_known_ones(capsys):
    assert main([""]) == 2
    assert "known: fit, validate, test" in capsys.readouterr().err
