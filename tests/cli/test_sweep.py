"""Sweeps: their runs, each in its own folder, resuming after an interruption, joined in one table."""

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
from tc_clip_pl.evaluation.table_layout import paper_layouts

TABLES = [name for name in shipped_configs() if name.startswith("ablations/table_")]
B2N = ["--config", "base_to_novel_hmdb", "--sweep", "data.split=[1,2,3]"]


def option(argv, name):
    return argv[argv.index(name) + 1]


def write_results(argv, weights=(1.0, 0.7)):
    """Writes the results of a fit: base accuracy 0.70, 0.80, 0.90 and novel 0.50 for splits 1, 2 and 3."""
    from pathlib import Path

    split = int(option(argv, "--data.split"))
    top1 = {"base": 0.6 + split / 10, "novel": 0.5}
    sets = {f"hmdb51/{part}": {"dataset": "hmdb51", "part": part, "top1": top1[part], "top5": 1.0} for part in top1}
    results = {
        "runs": [{"ensemble_weight": weight, "test_sets": sets} for weight in weights],
        "config": {"model": {}, "ensembling": {"weights": [1.0, 0.7]}, "protocol": "base_to_novel"},
        "data": {"num_shots": 16},
        "checkpoint": {"sha256": str(split)},
    }
    folder = Path(option(argv, "--output_dir")) / "base_to_novel_hmdb" / "version_0"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))


class Launcher:
    """Stands in for the processes of the runs."""

    def __init__(self, fails=()):
        self.fails, self.splits = fails, []

    def __call__(self, argv, log):
        split = int(option(argv, "--data.split"))
        self.splits.append(split)
        if split in self.fails:
            return 1
        write_results(argv)
        return 0


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


def test_three_seeds_become_one_row_with_the_harmonic_mean_of_the_means(capsys, tmp_path):
    launch = Launcher()
    assert sweep([*B2N, "--data.root", "videos"], launch) == 0
    out = capsys.readouterr().out
    assert launch.splits == [1, 2, 3]
    assert "80.0 ± 8.2" in out and "50.0 ± 0.0" in out and "61.5" in out
    assert "80.0 ± 8.2" in (tmp_path / "outputs/base_to_novel_hmdb_split/report.md").read_text()


def test_interrupted_sweep_resumes_and_repeats_nothing(capsys, tmp_path):
    assert sweep(B2N, Launcher(fails=[2])) == 1
    assert "split=2/log.txt" in capsys.readouterr().err
    files = {path: path.read_bytes() for path in tmp_path.rglob("results.json")}
    again = Launcher()
    assert sweep(B2N, again) == 0
    assert again.splits == [2]
    assert len(files) == 2 and all(path.read_bytes() == content for path, content in files.items())
    assert sweep(B2N, Launcher(fails=[1, 2, 3])) == 0
    assert "3 already done" in capsys.readouterr().out


def test_run_whose_second_pass_failed_is_not_finished():
    def half(argv, log):
        write_results(argv, weights=(1.0,))
        return 0

    assert sweep(B2N, half) == 1


def test_results_of_other_options_are_not_mistaken_for_its_own():
    sweep(B2N, Launcher())
    with pytest.raises(UserError, match=r"3e-6.*another folder"):
        sweep([*B2N, "--model.optimizer.lr", "3e-6"], Launcher())


def test_interruption_is_reported_without_a_traceback(monkeypatch, capsys):
    def interrupt(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("tc_clip_pl.cli.sweep.command.sweep", interrupt)
    assert main(["sweep", *B2N]) == 130
    assert "resumes" in capsys.readouterr().err


def test_dry_run_prints_the_commands(capsys):
    assert main(["sweep", *B2N, "--dry_run", "--trainer.devices", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("tcclip fit --config") and "--trainer.devices 2 --data.split 2" in lines[1]


def test_swept_values_come_after_the_arguments_of_every_run():
    plan = read_sweep(
        ["data.split=[1,2]", "model.config.tc_layers=[[4,8],null]"], ["few_shot_hmdb", "models/vifi_clip"]
    )
    runs = plan.runs(["--data.split", "9"])
    assert [run.name for run in runs][:2] == [
        "few_shot_hmdb,vifi_clip,split=1,tc_layers=4_8", "few_shot_hmdb,vifi_clip,split=1,tc_layers=null",
    ]  # fmt: skip
    assert runs[0].argv[-6:] == ["--data.split", "9", "--data.split", "1", "--model.config.tc_layers", "[4, 8]"]
    assert runs[0].describe()["settings"] == {"model.config.tc_layers": [4, 8]}


def test_experiment_on_the_command_line_replaces_those_of_the_file():
    plan = read_sweep(["ablations/table_8a"], ["few_shot_ucf.yaml"])
    assert list(plan.configs.items()) == [(("few_shot_ucf.yaml",), {"data.num_shots": [2, 4, 8, 16]})]
    assert len(plan.runs([])) == 4 * 8
    plan = read_sweep(["ablations/table_8a", "data.num_shots=[2]"], [])
    assert len(plan.runs([])) == 3 * 8


def test_variant_may_have_a_configuration_and_values_of_one_experiment(tmp_path):
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump(
            {
                "configs": {"demo": {"trainer.max_epochs": 2, "data.split": [1]}, "few_shot_hmdb": {}},
                "settings": {"pictures": False},
                "variants": {
                    "CLIP": {"config": "models/clip", "subcommand": "test"},
                    "A5": {"config": "models/a5", "model.freeze": ["text"], "demo": {"model.optimizer.lr": 0.1}},
                },
            },
            sort_keys=False,
        )
    )
    plan = read_sweep(["own.yaml"], [])
    runs = plan.runs(["--trainer.devices", "1"])
    assert [run.name for run in runs] == [
        *("demo,split=1,CLIP", "demo,split=1,A5", "few_shot_hmdb,CLIP", "few_shot_hmdb,A5"),
    ]
    assert [run.subcommand for run in runs] == ["test", "fit", "test", "fit"]
    overlay, rest = runs[1].argv[3], runs[1].argv[4:]
    assert overlay == str(shipped_configs()["models/a5.yaml"])
    of_experiment, given = ["--trainer.max_epochs", "2"], ["--trainer.devices", "1"]  # the latter may override
    swept, own = (
        ["--pictures", "false", "--data.split", "1"],
        ["--model.freeze", '["text"]', "--model.optimizer.lr", "0.1"],
    )
    assert rest == [*of_experiment, *given, *swept, *own]
    assert not {"0.1", "--trainer.max_epochs"} & set(runs[3].argv)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--config", "demo"], "one or more --sweep"),
        (["--sweep", "data.split=[1]"], "needs an experiment"),
        (["--config", "demo", "--sweep", "data.split=1"], r"not of the form KEY=\[VALUE"),
        (["--config", "demo", "--sweep", "data.split=[1"], r"not of the form KEY=\[VALUE"),
        (["--config", "demo", "--sweep", "few_shot_hmdb"], "not a sweep file.*variants"),
        (["--sweep", "ablations/table_9"], "did you mean ablations/table_9"),
        (["--config", "demo", "--sweep", "data.split=[1,1]"], "same name"),
    ],
)
def test_mistakes_are_reported_in_a_sentence(argv, message):
    with pytest.raises(UserError, match=message):
        sweep(argv, Launcher())


@pytest.mark.parametrize("argv", [["--data.num_shot", "2"], ["--sweep", "data.num_shot=[2,4]"]])
def test_mistyped_key_is_reported_before_the_first_run(argv, tmp_path):
    launch = Launcher()
    with pytest.raises(UserError, match=r"data\.num_shot\b.*did you mean data\.(init_args\.)?num_shots\?"):
        sweep([*B2N, *argv], launch)
    assert launch.splits == [] and not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", TABLES)
def test_table_of_an_ablation_takes_the_protocols_of_its_experiments(name):
    content = yaml.safe_load(shipped_configs()[name].read_text())
    experiments = [yaml.safe_load(shipped_configs()[f"{config}.yaml"].read_text()) for config in content["configs"]]
    assert {each["protocol"] for each in experiments} <= set(paper_layouts()[content["table"]].protocols)


@pytest.mark.parametrize("name", TABLES)
def test_ablation_has_the_rows_of_its_table(name):
    content = yaml.safe_load(shipped_configs()[name].read_text())
    rows = [row.method for row in paper_layouts()[content["table"]].paper_rows]
    if name == "ablations/table_6.yaml":  # other systems have recipes of their own
        rows = [row for row in rows if row.startswith(("ViFi-CLIP", "TC-CLIP"))]
    assert list(content["variants"]) == rows
    assert name == f"ablations/{content['table']}.yaml"


def test_every_ablation_table_has_its_file():
    tables = {name for name in paper_layouts() if name.startswith("table_")}
    assert {f"ablations/{table}.yaml" for table in tables} == set(TABLES)
    assert len(tables) == 14


def test_cluster_without_submitit(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install submitit"):
        sweep([*B2N, "--cluster", "slurm"])


class FakeCluster:
    """Stands in for submitit: numbers its jobs, and finds a job again by folder, id and tasks."""

    def __init__(self):
        self.submitted, self.active, self.is_interrupted = {}, set(), False
        self.AutoExecutor, self.SlurmJob = self.build_executor, self.find_job

    def build_executor(self, folder, cluster):
        if cluster != "slurm":
            raise ValueError(f"unknown cluster {cluster}")
        self.folder = folder.absolute()
        return SimpleNamespace(
            folder=self.folder, cluster=cluster, update_parameters=self.update_parameters, submit=self.submit
        )

    def update_parameters(self, **settings):
        if settings != {"timeout_min": 60, "tasks_per_node": 2, "slurm_partition": "gpu"}:
            raise NameError("unknown setting")

    def submit(self, command):
        job_id = str(len(self.submitted) + 7)
        self.submitted[job_id] = command
        self.active.add(job_id)
        return self.find_job(self.folder, job_id, range(2))

    def find_job(self, folder, job_id, tasks):
        assert folder == self.folder and list(tasks) == [0, 1]
        return SimpleNamespace(
            job_id=job_id,
            num_tasks=len(tasks),
            wait=lambda: self.finish(job_id),
            done=lambda force_check: job_id not in self.active,
        )

    def finish(self, job_id):
        if not self.is_interrupted:
            self.active.discard(job_id)
            write_results(self.submitted[job_id])

    def splits(self):
        return [option(command, "--data.split") for command in self.submitted.values()]


CLUSTER = ["--cluster", "slurm", "--cluster.timeout_min", "60", "--cluster.tasks_per_node=2"]
CLUSTER += ["--cluster.slurm_partition=gpu"]


@pytest.fixture
def cluster(monkeypatch):
    fake = FakeCluster()
    monkeypatch.setitem(sys.modules, "submitit", fake)
    monkeypatch.setitem(sys.modules, "submitit.helpers", SimpleNamespace(CommandFunction=list))
    return fake


def test_active_cluster_jobs_are_waited_for_and_not_submitted_again(cluster, capsys):
    cluster.is_interrupted = True  # the waiting ends before any job does
    assert sweep([*B2N, *CLUSTER]) == 1
    assert cluster.splits() == ["1", "2", "3"]
    assert "see outputs/base_to_novel_hmdb_split/jobs" in capsys.readouterr().err
    cluster.active.discard("9")  # the job of split 3 dies without results
    cluster.is_interrupted = False
    assert sweep([*B2N, *CLUSTER]) == 0
    assert cluster.splits() == ["1", "2", "3", "3"]
    assert "80.0 ± 8.2" in capsys.readouterr().out


def test_cluster_job_is_recorded_as_json(cluster, tmp_path):
    assert sweep([*B2N, *CLUSTER]) == 0
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("job.json"))]
    assert records == [{"cluster": "slurm", "job_id": job_id, "num_tasks": 2} for job_id in ("7", "8", "9")]


@pytest.mark.parametrize(
    ("settings", "message"), [(["slurm"], "unknown setting"), (["sge", *CLUSTER[2:]], "unknown cluster sge")]
)
def test_settings_that_submitit_rejects(settings, message, cluster):
    with pytest.raises(UserError, match=message):
        sweep([*B2N, "--cluster", *settings])


def test_closed_pipe_ends_a_command_quietly():
    import subprocess

    command = f"{sys.executable} -m tc_clip_pl configs | head -1; echo ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert run.stdout.splitlines()[0] == "Experiments"
    assert run.stdout.splitlines()[1] in ("0", "141")  # 0 where everything was written before head left
