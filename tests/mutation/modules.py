"""The mutated files and the tests of each. Tests mirror the code, so most need no entry."""

from pathlib import Path

PACKAGES = (
    "datamodules/video",
    "datamodules/transforms",
    "datamodules/splits",
    "tc_clip_pl/ops",
    "tc_clip_pl/ops/aggregation",
    "tc_clip_pl/training",
    "tc_clip_pl/evaluation",
)
# Files that are tested through another one. The equations are also tested by the models that consist of them.
ELSEWHERE = {
    "datamodules/video/loaders.py": ["tests/datamodules/test_loading.py", "tests/datamodules/test_base.py"],
    "datamodules/video/stages.py": ["tests/benchmarks/test_data.py"],
    "datamodules/video/stored_clip.py": ["tests/datamodules/video/test_frame_cache.py"],
    "datamodules/splits/video_names.py": ["tests/datamodules/splits/test_lookup.py"],
    "datamodules/transforms/seeding.py": ["tests/datamodules/transforms"],
    "datamodules/splits/protocols.py": ["tests/datamodules/splits", "tests/datamodules/datasets"],
    "datamodules/transforms/augmentation.py": [
        "tests/datamodules/transforms/test_augmentation.py",
        "tests/test_recipe.py::test_drawn_augmentation",
    ],
    "datamodules/splits/published.py": ["tests/datamodules/splits", "tests/datamodules/datasets"],
    "datamodules/splits/request.py": [
        "tests/datamodules/splits",
        "tests/datamodules/datasets",
        "tests/datamodules/check",
    ],
    "tc_clip_pl/ops/aggregation/base.py": ["tests/ops/test_aggregation.py", "tests/ops/test_bipartite.py"],
    "tc_clip_pl/ops/aggregation/baselines.py": ["tests/ops/test_aggregation.py"],
    "tc_clip_pl/ops/aggregation/bipartite.py": ["tests/ops/test_bipartite.py", "tests/ops/test_aggregation.py"],
    "tc_clip_pl/ops/aggregation/dpc_knn.py": ["tests/ops/test_aggregation.py"],
    "tc_clip_pl/ops/aggregation/kmeans.py": ["tests/ops/test_aggregation.py"],
    "tc_clip_pl/ops/cosine_logits.py": ["tests/ops/test_frame_pooling.py", "tests/modules/test_tc_clip.py"],
    "tc_clip_pl/ops/deep_prompts.py": ["tests/baselines/test_vifi_prompt.py", "tests/modules/test_deep_prompts.py"],
    "tc_clip_pl/ops/frame_attention.py": ["tests/ops/test_seed_selection.py", "tests/modules/test_tc_clip.py"],
    "tc_clip_pl/ops/prompt_attention.py": ["tests/ops/test_attention.py", "tests/modules/test_tc_clip.py"],
    "tc_clip_pl/ops/tokens.py": ["tests/ops/test_tokens.py", "tests/ops/test_aggregation.py"],
    "tc_clip_pl/evaluation/table_layout.py": ["tests/evaluation/test_report.py"],
    "tc_clip_pl/evaluation/collect_runs.py": [
        "tests/evaluation/test_report.py",
        "tests/evaluation/test_method_names.py",
    ],
    "tc_clip_pl/evaluation/pictures.py": ["tests/evaluation/test_results.py"],
    "tc_clip_pl/evaluation/run_identity.py": [
        "tests/evaluation/test_report.py",
        "tests/evaluation/test_method_names.py",
    ],
    "tc_clip_pl/training/best_checkpoint.py": ["tests/cli/test_sweep.py", "tests/cli/test_experiment.py"],
    "tc_clip_pl/training/class_names.py": ["tests/cli/test_checkpoint_data.py"],
    "tc_clip_pl/training/step_progress.py": ["tests/cli/test_pretrain.py"],
    "tc_clip_pl/evaluation/report.py": ["tests/evaluation/test_report.py", "tests/evaluation/test_method_names.py"],
    "tc_clip_pl/evaluation/table_rendering.py": ["tests/evaluation/test_report.py", "tests/evaluation/test_results.py"],
}
# Its tests start processes of their own, which import the file and not the mutant.
NOT_MUTATED = ("tc_clip_pl/training/distributed.py",)


def tests_of(only: list[str] | None = None) -> dict[str, list[str]]:
    """Return the tests of each file.

    Args:
        only: Paths to restrict the files to; a folder selects its files.

    Raises:
        SystemExit: If a file has no tests.
    """
    files = [path for package in PACKAGES for path in sorted(Path(package).glob("[!_]*.py"))]
    files = [path for path in files if str(path) not in NOT_MUTATED]
    if only:
        files = [path for path in files if any(path.is_relative_to(chosen) for chosen in only)]
    tests = {str(path): ELSEWHERE.get(str(path)) or [str(mirror_of(path))] for path in files}
    for path, folders in tests.items():
        if missing := [test for test in folders if not Path(test.partition("::")[0]).exists()]:
            raise SystemExit(f"{path} has no tests at {', '.join(missing)}: name them in tests/mutation/modules.py.")
    return tests


def mirror_of(path: Path) -> Path:
    """Return where the tests of a file belong."""
    package = path.parent if path.parts[0] == "datamodules" else path.parent.relative_to("tc_clip_pl")
    return Path("tests") / package / f"test_{path.name}"
