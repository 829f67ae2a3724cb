"""Mutation testing: change the code in one place and see whether a test notices.

    python tests/mutation/run.py [--sample 20] [--only datamodules/video/samplers.py] [--output survivors.txt]

Every mutant runs in a fork that has already imported the libraries, so it costs the tests and no start-up. The fork
imports the changed source in place of the file: the working tree is never touched.
"""

import argparse
import importlib
import importlib.machinery
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it; forks of a multithreaded OpenMP hang

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from modules import tests_of  # noqa: E402
from mutants import Mutant, find_mutants  # noqa: E402

# Imported before the forks.
LIBRARIES = [
    "torch",
    "torchvision.transforms.v2",
    "torchmetrics.classification",
    "torch.utils.tensorboard",
    "transformers",
    "transformers.models.clip.modeling_clip",
    "lightning.pytorch.cli",
    "jsonargparse",
    "safetensors.torch",
    "pandas",
    "rich.console",
    "av",
    "decord",
    "matplotlib.figure",
    "yaml",
    "pytest",
]
SLOWEST = 120  # seconds for the tests of one mutant


def main() -> int:
    """Run the mutants, write those that survive, and print the score of each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="files to mutate; all of modules.py by default")
    parser.add_argument("--sample", type=int, help="most mutants per file, drawn with --seed; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path("outputs/mutants.txt"), help="list of survivors")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    for library in LIBRARIES:
        importlib.import_module(library)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    total = Counter()
    with open(arguments.output, "w") as output, ThreadPoolExecutor(arguments.jobs) as pool:
        for path, tests in tests_of(arguments.only).items():
            total += mutate_file(Path(path), tests, arguments, pool, output)
    print(f"{'all':55} {score(total)}")
    return 0


def mutate_file(
    path: Path, tests: list[str], arguments: argparse.Namespace, pool: ThreadPoolExecutor, output: object
) -> Counter:
    """Test the mutants of one file against its tests and return the number of each outcome."""
    start = time.time()
    if run_tests(tests, SLOWEST) != "survived":
        print(f"{path}: its tests fail or time out without any mutant: {' '.join(tests)}", flush=True)
        return Counter()
    limit = min(SLOWEST, 10 + 5 * (time.time() - start))  # a mutant that loops forever counts as noticed
    mutants = list(find_mutants(path))
    if arguments.sample is not None and len(mutants) > arguments.sample:
        mutants = random.Random(arguments.seed).sample(mutants, arguments.sample)
    outcomes = list(pool.map(lambda mutant: run_tests(tests, limit, mutant), mutants))
    for mutant, outcome in sorted(zip(mutants, outcomes, strict=True), key=lambda pair: pair[0].line):
        if outcome == "survived":
            print(f"{path}:{mutant.line}: {mutant.change()}", file=output, flush=True)
    counts = Counter(outcomes)
    print(f"{path!s:55} {score(counts)}", flush=True)
    return counts


def score(counts: Counter) -> str:
    """Return the share of mutants that a test noticed."""
    noticed = counts.total() - counts["survived"]
    return f"{noticed:5} of {counts.total():5}  {100 * noticed / max(1, counts.total()):5.1f} %"


def run_tests(tests: list[str], limit: float, mutant: Mutant | None = None) -> str:
    """Run tests in a fork and return "killed", "survived" or "timeout"."""
    code = mutant.code() if mutant else None
    folder = tempfile.mkdtemp()
    pid = os.fork()
    if pid == 0:
        os.setsid()  # its own process group, so that its loader workers end with it
        os._exit(_test_in_this_process(tests, folder, mutant, code))
    deadline = time.time() + limit
    while not (done := os.waitpid(pid, os.WNOHANG))[0] and time.time() < deadline:
        time.sleep(0.02)
    if not done[0]:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return "timeout" if not done[0] else "survived" if done[1] == 0 else "killed"


def _test_in_this_process(tests: list[str], folder: str, mutant: Mutant | None, code: str | None) -> int:
    """Replace the source of the mutated file at import, and return pytest's exit code."""
    import pytest

    if mutant:
        original, target = importlib.machinery.SourceFileLoader.get_code, str(mutant.path.resolve())

        def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> object:
            path = loader.get_filename(name)
            return compile(code, path, "exec") if path == target else original(loader, name)

        importlib.machinery.SourceFileLoader.get_code = get_code
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1), os.dup2(silence, 2)
    try:
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/pytest", *tests]))
    except BaseException:
        return 1


if __name__ == "__main__":
    sys.exit(main())
