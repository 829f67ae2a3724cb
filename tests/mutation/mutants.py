"""The mutants of a module: what cosmic-ray would change, without what no test could notice."""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

# One replacement per operator: every further one costs a run and says the same about the tests.
PAIRS = {
    "BinaryOperatorReplacement": ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Div", "Mod_FloorDiv", "Pow_Mul",
                                  "BitOr_BitAnd", "BitAnd_BitOr"),
    "ComparisonOperatorReplacement": ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Is_IsNot",
                                      "IsNot_Is", "In_NotIn", "NotIn_In"),
    "ReplaceUnaryOperator": ("USub_UAdd", "Delete_USub", "Delete_Not", "Delete_Invert"),
}  # fmt: skip
SINGLE = ("NumberReplacer", "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse",
          "ReplaceFalseWithTrue", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak",
          "ZeroIterationForLoop")  # fmt: skip
OPERATORS = {f"core/{kind}_{pair}" for kind, pairs in PAIRS.items() for pair in pairs} | {f"core/{s}" for s in SINGLE}


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    path: Path
    operator: str
    occurrence: int
    line: int

    def code(self) -> str:
        """Return the source of the whole file with the change."""
        operator = cosmic_ray.plugins.get_operator(self.operator)()
        return mutate_code(self.path.read_text(), operator, self.occurrence)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change()}"

    def change(self) -> str:
        """Return the changed lines, as ``old -> new``."""
        lines = list(difflib.ndiff(self.path.read_text().splitlines(), self.code().splitlines()))
        before, after = ([line[2:].strip() for line in lines if line.startswith(sign)] for sign in "-+")
        return f"{' / '.join(before)}  ->  {' / '.join(after)}"


def find_mutants(path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a file, without those inside annotations."""
    source = path.read_text()
    tree, silent = get_ast(source), annotation_spans(ast.parse(source))
    for name in sorted(OPERATORS & set(cosmic_ray.plugins.operator_names())):
        operator = cosmic_ray.plugins.get_operator(name)()
        spans = (span for node in ast_nodes(tree) for span in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(spans):
            if not any(first <= start and end <= last for first, last in silent):
                yield Mutant(path, name, occurrence, start[0])


def annotation_spans(tree: ast.AST) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return (start, end) of all annotations: no test runs ``int | None``."""
    annotations = [getattr(node, field, None) for node in ast.walk(tree) for field in ("annotation", "returns")]
    return [((a.lineno, a.col_offset), (a.end_lineno, a.end_col_offset)) for a in annotations if a is not None]
