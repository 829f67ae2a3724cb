"""Cluster configurations combine with any experiment, and under SLURM each process finds its rank."""

import pytest
import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only

from tc_clip_pl.cli import main
from tc_clip_pl.cli.configs import shipped_configs

CLUSTERS = {name: path for name, path in shipped_configs().items() if name.startswith("clusters/")}


def test_there_are_slurm_and_fsdp():
    assert {"clusters/slurm.yaml", "clusters/fsdp.yaml"} <= CLUSTERS.keys()


@pytest.mark.parametrize("name", CLUSTERS)
def test_changes_the_trainer_alone(name, capsys):
    parsed = []
    for cluster in ([], ["--config", name]):
        with pytest.raises(SystemExit):
            main(["fit", "--config", "few_shot_hmdb", *cluster, "--print_config"])
        parsed.append(yaml.safe_load(capsys.readouterr().out))
    written = yaml.safe_load(CLUSTERS[name].read_text())
    assert written.keys() == {"trainer"}
    expected = {**parsed[0], "trainer": {**parsed[0]["trainer"], **written["trainer"]}}
    strategy, printed = (config["trainer"].pop("strategy") for config in (expected, parsed[1]))
    assert parsed[1] == expected
    if isinstance(strategy, dict):  # printed with every default
        assert printed["class_path"] == strategy["class_path"]
        assert printed["init_args"].items() >= strategy["init_args"].items()
    else:
        assert printed == strategy


def test_slurm_is_recognized(monkeypatch):
    place = {"NTASKS": 8, "NNODES": 2, "PROCID": 5, "LOCALID": 1, "NODEID": 1, "NTASKS_PER_NODE": 4}
    for key, value in {**place, "JOB_ID": 7, "JOB_NAME": "train", "NODELIST": "n1,n2"}.items():
        monkeypatch.setenv(f"SLURM_{key}", str(value))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # a Trainer sets it for the whole process
    options = {"logger": False, "enable_checkpointing": False, "strategy": "ddp"}
    trainer = Trainer(accelerator="cpu", num_nodes=2, devices=4, **options)
    assert type(trainer.strategy.cluster_environment).__name__ == "SLURMEnvironment"
    assert (trainer.world_size, trainer.global_rank) == (8, 5)
