"""Who may import whom, checked on the syntax tree of every file, and no import cycles."""

import ast
import functools
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = ("tc_clip_pl", "datamodules")
# Package or top-level module -> what it may import of this project, besides itself.
MAY_IMPORT = {
    "tc_clip_pl": {
        "registry",
        "ops",
        "modules",
        "checkpoints",
        "evaluation",
        "training",
        "inference",
    },  # lazy re-exports
    "tc_clip_pl.registry": set(),
    "tc_clip_pl.ops": {"registry"},
    "tc_clip_pl.kernels": {"ops"},
    "tc_clip_pl.modules": {"registry", "ops", "kernels"},
    "tc_clip_pl.baselines": {"registry", "ops", "modules", "checkpoints"},
    "tc_clip_pl.checkpoints": {"ops", "modules"},
    "tc_clip_pl.visualization": {"ops", "modules"},
    "tc_clip_pl.evaluation": {"registry", "ops"},
    "tc_clip_pl.profiling": {"ops", "modules"},
    "tc_clip_pl.benchmarks": {"ops", "kernels", "modules", "profiling", "training", "datamodules"},
    "tc_clip_pl.training": {"registry", "ops", "modules", "checkpoints", "evaluation", "visualization"},
    "tc_clip_pl.inference": {"ops", "modules", "training", "datamodules"},
    "tc_clip_pl.search": {"modules", "inference", "datamodules"},
    "tc_clip_pl.ray_jobs": {"modules", "inference", "search", "datamodules"},
    "tc_clip_pl.cli": {
        *(
            "registry",
            "ops",
            "modules",
            "baselines",
            "checkpoints",
            "visualization",
            "evaluation",
            "profiling",
            "benchmarks",
        ),
        *("training", "inference", "search", "ray_jobs", "datamodules"),
    },
    "tc_clip_pl.__main__": {"cli"},
    "datamodules": {"base", "suite", "errors", "options", "splits", "video", "transforms", "datasets", "synthetic"},
    "datamodules.errors": set(),
    "datamodules.parallel": set(),
    "datamodules.shards": {"errors"},
    "datamodules.options": {"errors"},
    "datamodules.transforms": {"errors", "options"},
    "datamodules.splits": {"errors", "options", "shards"},
    "datamodules.video": {"errors", "options", "parallel", "shards", "splits", "transforms"},
    "datamodules.input_contract": {"errors", "options", "transforms"},
    "datamodules.loading": {"errors", "options", "splits", "transforms", "video"},
    "datamodules.batches": {"options", "transforms", "video", "loading"},
    "datamodules.base": {"errors", "options", "splits", "transforms", "video", "loading", "batches"},
    "datamodules.datasets": {"errors", "options", "splits", "base"},
    "datamodules.suite": {"errors", "options", "splits", "transforms", "video", "base"},
    "datamodules.make_splits": {"errors", "options", "splits"},
    "datamodules.check": {"errors", "options", "parallel", "shards", "splits", "video"},
    "datamodules.transcode": {"errors", "parallel", "shards", "splits", "video"},
    "datamodules.synthetic": {"errors", "options", "splits", "make_splits", "transforms", "video", "datasets"},
}
# Library -> the packages and modules that may import it. Those not named here (torch, numpy) are free to all.
LIBRARY_USERS = {
    "lightning": {
        *("tc_clip_pl.training", "tc_clip_pl.cli"),
        *("datamodules.batches", "datamodules.suite", "datamodules.synthetic"),
    },
    "pytorch_lightning": set(),  # the old name of lightning: one of the two is enough
    "transformers": {
        *("tc_clip_pl.modules", "tc_clip_pl.baselines", "tc_clip_pl.checkpoints", "tc_clip_pl.training"),
        "tc_clip_pl.cli",
    },
    "torchmetrics": {"tc_clip_pl.evaluation", "tc_clip_pl.training"},
    "matplotlib": {"tc_clip_pl.visualization", "tc_clip_pl.evaluation", "tc_clip_pl.training", "tc_clip_pl.cli"},
    "pandas": {"tc_clip_pl.evaluation", "tc_clip_pl.cli"},
    "triton": {"tc_clip_pl.kernels"},
    "jsonargparse": {"tc_clip_pl.cli"},
    "submitit": {"tc_clip_pl.cli"},
    "jinja2": {"tc_clip_pl.cli"},
    "faiss": {"tc_clip_pl.search"},
    "ray": {"tc_clip_pl.ray_jobs"},
    "fsspec": {"datamodules.shards"},
    "webdataset": set(),  # the tests read shards with it
    "PIL": {"tc_clip_pl.search", "tc_clip_pl.visualization", "tc_clip_pl.cli"},
    "gradio": {"tc_clip_pl.cli"},
    "av": {"datamodules.video", "datamodules.check", "datamodules.synthetic", "datamodules.transcode"},
    "decord": {"datamodules.video"},
    "torchcodec": {"datamodules.video"},
    "filelock": {"datamodules.video"},
}
# Where Hugging Face's CLIP may be named: the backbone, and the writer of a plain CLIP for the tests.
CLIP_USERS = ("tc_clip_pl.modules.backbone", "tc_clip_pl.checkpoints.tiny_clip")


def find_modules(root, packages):
    """Dotted name -> file; a package goes by its own name."""
    files = [file for package in packages for file in (root / package).rglob("*.py")]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@functools.cache
def imported_names(module, file):
    """Every dotted name that a file imports, wherever the statement stands: `a.b` for `from a import b` too."""
    return tuple(_imported_names(module, file))


def _imported_names(module, file):
    # `if TYPE_CHECKING:` and function bodies need no care: `ast.walk` goes through every block.
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def import_graph(modules):
    """Module -> the modules among `modules` that it imports.

    `from package import name` leads to the module `package.name` if there is one, else to `package`: the name is then
    defined in, or re-exported by, its `__init__.py`. Importing `a.b` runs `a/__init__.py` as well, but that is no arrow
    here: every module would then depend on its parents, and no package could re-export anything. A package that walks
    its own `__path__` imports all of its modules.
    """

    def resolve(name):
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    def targets(module, file):
        found = {target for name in imported_names(module, file) if (target := resolve(name))}
        walked = {name for name in modules if name.rpartition(".")[0] == module}
        return found | walked if "iter_modules(__path__)" in file.read_text() else found

    return {module: targets(module, file) for module, file in modules.items()}


def find_cycle(graph):
    """The modules of a cycle, each importing the next, the last being the first; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]  # graphlib names predecessors first: what is imported before who imports it
    return []


def area(name):
    """The package or top-level module that a row of `MAY_IMPORT` is about."""
    return ".".join(name.split(".")[:2])


def may_import(importer, target):
    top, target_top = importer.partition(".")[0], target.partition(".")[0]
    if target_top != top:
        return target_top in MAY_IMPORT[importer]
    return area(target) in {importer, *(f"{top}.{name}" for name in MAY_IMPORT[importer])}


def is_within(name, package):
    return name == package or name.startswith(f"{package}.")


def names_clip(name):
    return name.startswith("transformers.CLIP") or is_within(name, "transformers.models.clip")


@pytest.fixture(scope="module")
def modules():
    return find_modules(ROOT, TOP_LEVEL)


@pytest.fixture(scope="module")
def graph(modules):
    return import_graph(modules)


@pytest.fixture
def make_graph(tmp_path):
    """Writes `{path: source}` and returns the graph of the package `p`."""

    def make(sources):
        for path, source in {"p/__init__.py": "", **sources}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        imported_names.cache_clear()  # of files that are others now
        return import_graph(find_modules(tmp_path, ["p"]))

    return make


def test_there_is_no_import_cycle(graph):
    cycle = find_cycle(graph)
    assert not cycle, "import cycle: " + " -> ".join(cycle)


def test_the_table_covers_every_package(modules):
    assert {area(module) for module in modules} == set(MAY_IMPORT)


@pytest.mark.parametrize("importer", MAY_IMPORT)
def test_imports_follow_the_table(graph, importer):
    imports = {(module, target) for module in graph if area(module) == importer for target in graph[module]}
    forbidden = sorted(f"{module} -> {target}" for module, target in imports if not may_import(importer, target))
    assert not forbidden, "\n".join(forbidden)


@pytest.mark.parametrize("library", LIBRARY_USERS)
def test_libraries_stay_with_their_users(modules, library):
    allowed = LIBRARY_USERS[library]
    others = [module for module in modules if area(module) not in allowed]
    imports = [(module, name) for module in others for name in imported_names(module, modules[module])]
    assert not [(module, name) for module, name in imports if is_within(name, library)]


def test_only_the_backbone_names_hugging_faces_clip(modules):
    others = [module for module in modules if not any(is_within(module, user) for user in CLIP_USERS)]
    imports = [(module, name) for module in others for name in imported_names(module, modules[module])]
    found = sorted(f"{module} imports {name}" for module, name in imports if names_clip(name))
    assert not found, "\n".join(found)


def test_importing_the_packages_does_no_work():
    heavy = ("torch", "lightning", "transformers")
    code = f"import sys, tc_clip_pl, datamodules; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# The graph builder itself, on packages made up here


def test_graph_resolves_names_to_modules(make_graph):
    graph = make_graph(
        {
            "p/a.py": "import p.b\nfrom p import c, VALUE\nfrom p.d import f\nimport torch",
            **{"p/b.py": "", "p/c.py": "", "p/d.py": ""},
            "p/sub/__init__.py": "from . import e\nfrom ..b import f",
            "p/sub/e.py": "from .. import c",
        }
    )
    assert graph["p.a"] == {"p.b", "p.c", "p", "p.d"}
    assert (graph["p.sub"], graph["p.sub.e"]) == ({"p.sub.e", "p.b"}, {"p.c"})
    assert graph["p.b"] == graph["p"] == set()


def test_cycle_is_reported_in_the_order_of_its_imports(make_graph):
    chain = pairwise("abca")
    graph = make_graph({f"p/{a}.py": f"from p.{b} import x" for a, b in [*chain, "da"]})
    cycle = find_cycle(graph)
    assert cycle[0] == cycle[-1] and sorted(cycle[1:]) == ["p.a", "p.b", "p.c"]
    assert all(target in graph[module] for module, target in pairwise(cycle))


def test_no_cycle_where_there_is_none(make_graph):
    assert find_cycle(make_graph({"p/a.py": "from p import b, c", "p/b.py": "from p import c", "p/c.py": ""})) == []


@pytest.mark.parametrize(
    "nested",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import A",
        "def f():\n    from p.a import A",
        "try:\n    import p.a\nexcept ImportError:\n    pass",
        "class B:\n    def f(self):\n        if True:\n            from p import a",
    ],
)
def test_nested_imports_close_a_cycle(make_graph, nested):
    assert set(find_cycle(make_graph({"p/a.py": "from p.b import B", "p/b.py": nested}))) == {"p.a", "p.b"}


def test_import_from_the_facade_closes_a_cycle(make_graph):
    facade = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import A"
    assert set(find_cycle(make_graph({"p/__init__.py": facade, "p/a.py": "from p import B"}))) == {"p", "p.a"}
    table = '_HOMES = {"A": "p.a"}'  # a lazy facade: strings are no imports
    assert find_cycle(make_graph({"p/__init__.py": table, "p/a.py": "from p import B"})) == []


def test_package_that_imports_its_modules_closes_a_cycle(make_graph):
    walk = "for module in iter_modules(__path__):\n    import_module(f'{__name__}.{module.name}')"
    graph = make_graph({"p/__init__.py": walk, "p/a.py": "from p import B", "p/sub/__init__.py": "", "p/sub/b.py": ""})
    assert graph["p"] == {"p.a", "p.sub"} and set(find_cycle(graph)) == {"p", "p.a"}


@pytest.mark.parametrize(
    ("source", "is_clip"),
    [
        ("from transformers import CLIPModel", True),
        ("from transformers.models.clip.modeling_clip import CLIPMLP", True),
        ("from transformers.models import clip", True),
        ("import transformers.models.clip as c", True),
        ("from transformers import AutoTokenizer", False),
    ],
)
def test_imports_of_clip_are_recognized(tmp_path, source, is_clip):
    file = tmp_path / "module.py"
    file.write_text(source)
    assert any(map(names_clip, imported_names("module", file))) == is_clip
