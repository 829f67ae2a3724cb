"""Mutation testing: change the code in one place and see whether a test notices.

    python tests/mutation/run.py [--sample 20] [--only datamodules/video/samplers.py] [--output survivors.txt]
    python tests/mutation/run.py --again survivors.txt --output rest.txt

A change that no test could notice is accepted by a row of survivors.md, and marked in the list of survivors.

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

from accepted import Accepted  # noqa: E402
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
ACCEPTED_MARK = "  [accepted]"
COUNTED = {"accepted": "accepted", "timeout": "out of time"}


def main() -> int:
    """Run the mutants, write those that survive, and print the score of each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="files to mutate; all of modules.py by default")
    parser.add_argument("--sample", type=int, help="most mutants per file, drawn with --seed; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path("outputs/mutants.txt"), help="list of survivors")
    parser.add_argument("--again", type=Path, help="list of survivors of an earlier run: run only these again")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    for library in LIBRARIES:
        importlib.import_module(library)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    again = set(map(without_line, arguments.again.read_text().splitlines())) if arguments.again else None
    total, start = Counter(), time.time()
    print(f"{'':55} noticed, of all (of those not accepted)", flush=True)
    with open(arguments.output, "w") as output, ThreadPoolExecutor(arguments.jobs) as pool:
        for path, tests in tests_of(arguments.only).items():
            mutants = choose_mutants(Path(path), arguments, again)
            total += mutate_file(Path(path), mutants, tests, pool, output) if mutants else Counter()
    print(f"{'all':55} {score(total)} in {(time.time() - start) / 60:.0f} min")
    return 0


def choose_mutants(path: Path, arguments: argparse.Namespace, again: set[str] | None) -> list[Mutant]:
    """Return the mutants of a file that are asked for: those of an earlier list, a sample, or all."""
    mutants = list(find_mutants(path))
    if again is not None:
        return [mutant for mutant in mutants if without_line(str(mutant)) in again]
    if arguments.sample is not None and len(mutants) > arguments.sample:
        return random.Random(arguments.seed).sample(mutants, arguments.sample)
    return mutants


def without_line(survivor: str) -> str:
    """Drop the number of the line, which moves with every edit above, and the mark of accepted ones."""
    path, _, change = survivor.removesuffix(ACCEPTED_MARK).split(":", 2)
    return f"{path}:{change}"


def mutate_file(
    path: Path, mutants: list[Mutant], tests: list[str], pool: ThreadPoolExecutor, output: object
) -> Counter:
    """Test the mutants of one file against its tests and return the number of each outcome."""
    start = time.time()
    if run_tests(tests, SLOWEST) != "survived":
        print(f"{path}: its tests fail or time out without any mutant: {' '.join(tests)}", flush=True)
        return Counter()
    limit = min(SLOWEST, 10 + 5 * (time.time() - start))  # a mutant that loops forever counts as noticed
    accepted, counts = Accepted(), Counter()
    outcomes = list(pool.map(lambda mutant: run_tests(tests, limit, mutant), mutants))
    for mutant, outcome in sorted(zip(mutants, outcomes, strict=True), key=lambda pair: pair[0].line):
        is_accepted = outcome == "survived" and str(mutant) in accepted
        counts["accepted" if is_accepted else outcome] += 1
        if outcome == "survived":
            print(f"{mutant}{ACCEPTED_MARK if is_accepted else ''}", file=output, flush=True)
    print(f"{path!s:55} {score(counts)}", flush=True)
    return counts


def score(counts: Counter) -> str:
    """Return the share of mutants that a test noticed: of all, and of those that are not accepted."""
    noticed, number = counts["killed"] + counts["timeout"], counts.total()
    details = [f", {counts[kind]} {name}" for kind, name in COUNTED.items() if counts[kind]]
    shares = f"{percent(noticed, number)} ({percent(noticed, number - counts['accepted'])})"
    return f"{noticed:4} of {number:4} {shares}{''.join(details)}"


def percent(part: int, whole: int) -> str:
    """Return a share in percent; of nothing, all."""
    return f"{100 * part / whole if whole else 100:5.1f} %"


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
