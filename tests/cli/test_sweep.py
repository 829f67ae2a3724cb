"""Sweeps: which runs, each in its own folder, going on after an interruption, joined in one table."""

import json
import sys
from types import SimpleNamespace

import pytest
import yaml

from tc_clip_pl.cli import main
from tc_clip_pl.cli.configs import shipped_configs
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.command import sweep
from tc_clip_pl.cli.sweep.plan import read_sweep
from tc_clip_pl.evaluation.paper_tables import paper_layouts

ABLATIONS = [name for name in shipped_configs() if name.startswith("ablations/")]
B2N = ["--config", "base_to_novel_hmdb", "--sweep", "data.split=[1,2,3]"]


def option(words, name):
    return words[words.index(name) + 1]


def write_results(words, weights=(1.0, 0.7)):
    """Leaves behind what a fit leaves: base accuracy 0.70, 0.80, 0.90 and novel 0.50 for the splits 1, 2 and 3."""
    from pathlib import Path

    split = int(option(words, "--data.split"))
    sets = {"hmdb51/base": {"top1": 0.6 + split / 10, "top5": 1.0}, "hmdb51/novel": {"top1": 0.5, "top5": 1.0}}
    results = {
        "runs": [{"ensemble_weight": weight, "test_sets": sets} for weight in weights],
        "config": {"model": {}, "ensembling": {"weight": 0.7}, "protocol": "base_to_novel"},
        "data": {"num_shots": 16},
        "checkpoint": {"sha256": str(split)},
    }
    folder = Path(option(words, "--output_dir")) / "base_to_novel_hmdb" / "version_0"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))


class Launcher:
    """Stands for the processes of the runs."""

    def __init__(self, fails=()):
        self.fails, self.splits = fails, []

    def __call__(self, words, log):
        split = int(option(words, "--data.split"))
        self.splits.append(split)
        if split in self.fails:
            return 1
        write_results(words)
        return 0


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


def test_three_draws_become_one_row_with_the_harmonic_mean_of_the_means(capsys, tmp_path):
    launch = Launcher()
    assert sweep([*B2N, "--data.root", "films"], launch) == 0
    out = capsys.readouterr().out
    assert launch.splits == [1, 2, 3]
    assert "80.0 ± 8.2" in out and "50.0 ± 0.0" in out and "61.5" in out
    assert "80.0 ± 8.2" in (tmp_path / "outputs/base_to_novel_hmdb_split/report.md").read_text()


def test_interrupted_sweep_goes_on_and_redoes_nothing(capsys, tmp_path):
    assert sweep(B2N, Launcher(fails=[2])) == 1
    assert "split=2" in capsys.readouterr().err
    files = {path: path.read_bytes() for path in tmp_path.rglob("results.json")}
    again = Launcher()
    assert sweep(B2N, again) == 0
    assert again.splits == [2]
    assert len(files) == 2 and all(path.read_bytes() == content for path, content in files.items())
    assert sweep(B2N, Launcher(fails=[1, 2, 3])) == 0
    assert "3 of them done before" in capsys.readouterr().out


def test_run_whose_second_pass_failed_is_not_finished():
    def half(words, log):
        write_results(words, weights=(1.0,))
        return 0

    assert sweep(B2N, half) == 1


def test_results_of_other_options_are_not_taken_for_ones_own():
    sweep(B2N, Launcher())
    with pytest.raises(UserError, match=r"3e-6.*another --output_dir"):
        sweep([*B2N, "--model.optimizer.lr", "3e-6"], Launcher())


def test_interruption_is_told_without_a_traceback(monkeypatch, capsys):
    def interrupt(words):
        raise KeyboardInterrupt

    monkeypatch.setattr("tc_clip_pl.cli.sweep.command.sweep", interrupt)
    assert main(["sweep", *B2N]) == 130
    assert "resumes" in capsys.readouterr().err


def test_dry_run_prints_the_commands(capsys):
    assert main(["sweep", *B2N, "--dry_run", "--trainer.devices", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("tcclip fit --config") and "--trainer.devices 2 --data.split 2" in lines[1]


def test_all_combinations_come_after_the_words_for_every_run():
    plan = read_sweep(
        ["data.split=[1,2]", "model.config.tc_layers=[[4,8],null]"], ["few_shot_hmdb", "models/vifi_clip"]
    )
    runs = plan.runs(["--data.split", "9"])
    assert [run.name for run in runs][:2] == [
        "few_shot_hmdb,vifi_clip,split=1,tc_layers=4_8", "few_shot_hmdb,vifi_clip,split=1,tc_layers=null",
    ]  # fmt: skip
    assert runs[0].words[-6:] == ["--data.split", "9", "--data.split", "1", "--model.config.tc_layers", "[4, 8]"]
    assert runs[0].describe()["settings"] == {"model.config.tc_layers": [4, 8]}


def test_experiment_on_the_command_line_takes_the_place_of_the_files_own():
    plan = read_sweep(["ablations/table_8a"], ["few_shot_ucf.yaml"])
    assert list(plan.configs.items()) == [(("few_shot_ucf.yaml",), {"data.num_shots": [2, 4, 8, 16]})]
    assert len(plan.runs([])) == 4 * 8
    plan = read_sweep(["ablations/table_8a", "data.num_shots=[2]"], [])
    assert len(plan.runs([])) == 3 * 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "demo"], "one or several --sweep"),
        (["--sweep", "data.split=[1]"], "needs an experiment"),
        (["--config", "demo", "--sweep", "data.split=1"], r"no KEY=\[VALUE"),
        (["--config", "demo", "--sweep", "data.split=[1"], r"no KEY=\[VALUE"),
        (["--config", "demo", "--sweep", "few_shot_hmdb"], "no sweep file.*variants"),
        (["--sweep", "ablations/table_9"], "did you mean ablations/table_9"),
        (["--config", "demo", "--sweep", "data.split=[1,1]"], "same name"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, message):
    with pytest.raises(UserError, match=message):
        sweep(words, Launcher())


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablation_has_the_rows_of_its_table(name):
    content = yaml.safe_load(shipped_configs()[name].read_text())
    assert list(content["variants"]) == [row.method for row in paper_layouts()[content["table"]].paper_rows]
    assert name == f"ablations/{content['table']}.yaml"


def test_every_ablation_table_has_its_file():
    tables = {name for name in paper_layouts() if name.startswith("table_")}
    assert {f"ablations/{table}.yaml" for table in tables} == set(ABLATIONS)
    assert len(tables) == 14


def test_cluster_without_submitit(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'tcclip\[cluster\]'"):
        sweep([*B2N, "--cluster", "slurm"])


class FakeJob:
    """A job that runs while one waits for it."""

    submitted = []
    job_id = "7"

    def __init__(self, words):
        self.words = words

    def wait(self):
        write_results(self.words)

    def done(self, force_check):
        return any(str(word).endswith("split=3") for word in self.words)


class FakeExecutor:
    """Takes jobs as submitit does."""

    def __init__(self, folder, cluster):
        self.cluster = cluster

    def update_parameters(self, **settings):
        if settings != {"timeout_min": 60, "slurm_partition": "gpu"}:
            raise NameError("unknown setting")

    def submit(self, command):
        FakeJob.submitted.append(option(command, "--data.split"))
        return FakeJob(command)


def test_cluster_jobs_under_way_are_waited_for_and_not_doubled(monkeypatch, capsys):
    fake = SimpleNamespace(AutoExecutor=FakeExecutor)
    monkeypatch.setitem(sys.modules, "submitit", fake)
    monkeypatch.setitem(sys.modules, "submitit.helpers", SimpleNamespace(CommandFunction=list))
    monkeypatch.setattr(FakeJob, "submitted", [])
    settings = ["--cluster", "slurm", "--cluster.timeout_min", "60", "--cluster.slurm_partition=gpu"]
    monkeypatch.setattr(FakeJob, "wait", lambda self: None)  # the waiting is cut short: two jobs go on, one has died
    assert sweep([*B2N, *settings]) == 1
    assert FakeJob.submitted == ["1", "2", "3"]
    monkeypatch.setattr(FakeJob, "wait", lambda self: write_results(self.words))
    assert sweep([*B2N, *settings]) == 0
    assert FakeJob.submitted == ["1", "2", "3", "3"]
    assert "80.0 ± 8.2" in capsys.readouterr().out
    with pytest.raises(UserError, match="unknown setting"):
        sweep([*B2N, "--cluster", "slurm", "--output_dir", "other"])
