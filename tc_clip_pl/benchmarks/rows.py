"""One measurement, and what follows from it: rates, shares and ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from tc_clip_pl.benchmarks.timing import Timing

OUT_OF_MEMORY = "out of memory"
Setting = int | str | bool
Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """A measured row.

    Attributes:
        name: What was measured, such as "TC-CLIP".
        settings: How, by the name of the option: `batch_size`, `kernels`, ...
        timing: None if it did not fit into the memory, or something else was measured.
        items: How many videos one call processes.
        multiply_adds: Of one call; None if they are not counted.
        note: Why there is no timing.
        compared_by: What a row and its baseline have in common; None if it is compared with nothing.
        is_baseline: Whether others are compared with this row.
        measured: What else was measured, by name; it takes the place of what would follow from the timing.
    """

    name: str
    settings: Mapping[str, Setting]
    timing: Timing | None
    items: int = 1
    multiply_adds: int | None = None
    note: str = ""
    compared_by: Mapping[str, Setting] | None = None
    is_baseline: bool = False
    measured: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Videos per second."""
        return self.items / self.timing.median if self.timing else None

    @property
    def tflops(self) -> float | None:
        """Executed TFLOP/s, a multiply-add being two operations."""
        if self.timing is None or self.multiply_adds is None:
            return None
        return 2 * self.multiply_adds / self.timing.median / 1e12


def measure(timed: Callable[[], Result]) -> tuple[Result | None, str]:
    """Time something that may not fit into the memory.

    Returns:
        What it returns, and no note; or None, and a note that says why.
    """
    try:
        return timed(), ""
    except torch.OutOfMemoryError:
        pass  # outside of the handler nothing holds the tensors of the failed call any more
    except RuntimeError as error:
        if "not enough memory" not in str(error):  # of a CPU
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None, OUT_OF_MEMORY


def as_records(rows: Sequence[Row], peak_tflops: float | None) -> list[dict[str, Any]]:
    """Return rows as plain values, with their ratios to the baseline and to the peak.

    Args:
        rows: The rows of one run.
        peak_tflops: The measured speed of a large matrix product.

    Returns:
        Of each row: `name`, its settings, `median_ms`, `low_ms` and `high_ms` (quartiles), `p95_ms`, `first_s`,
        `memory_gib`, `rate` (videos per second), `tflops`, `peak_share`, `ratio` (its rate over that of the baseline)
        and `note`. What was not measured is None.
    """
    return [_as_record(row, rows, peak_tflops) for row in rows]


def _as_record(row: Row, rows: Sequence[Row], peak_tflops: float | None) -> dict[str, Any]:
    timing = row.timing
    times = {f"{name}_ms": timing and 1000 * getattr(timing, name) for name in ("median", "low", "high", "p95")}
    baselines = (other.rate for other in rows if other.is_baseline and other.compared_by == row.compared_by)
    baseline = next(baselines, None) if row.compared_by is not None else None
    return {
        "name": row.name,
        **row.settings,
        **times,
        "first_s": timing and timing.first,
        "memory_gib": timing and timing.memory_gib,
        "rate": row.rate,
        "tflops": row.tflops,
        "peak_share": row.tflops / peak_tflops if row.tflops is not None and peak_tflops else None,
        "ratio": row.rate / baseline if row.rate and baseline else None,
        "note": row.note,
        **row.measured,
    }
