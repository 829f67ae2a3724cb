"""Draw the figure of the README from the measurements beside this file: `python results/make_figure.py`."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean, pstdev

import matplotlib.pyplot as plt

HERE = Path(__file__).parent
REFERENCE_TOKENS = {  # method -> label; what each frame attends to besides itself
    "Frame-wise": "nothing (frame-wise)",
    "[CLS] of all frames": "[CLS] of all frames",
    "Patches of adjacent frames": "adjacent frames",
    "Patches of all frames": "all patches",
    "Context: bipartite": "context tokens (TC)",
}
POSITIONS = {"Frame-wise, space": "frame-wise", "Context, space": "TC, space", "Context, joint": "TC, joint"}
# Of a frame-wise model: `expected_accuracy` in datamodules/synthetic/actions.py.
EXPECTED = {"relational": 25, "order": 50}
COLORS = ["#8c8c8c", "#6baed6", "#4292c6", "#2171b5", "#d94801"]


def read(name: str) -> list[dict]:
    """Return the measurements of a sweep."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))["measurements"]


def collect(rows: list[dict], *keys: str) -> dict[tuple, list[float]]:
    """Return the top-1 accuracies in percent, one per seed, by the values of some keys."""
    found = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in keys)].append(100 * row["top1"])
    return found


def draw_bars(axes: plt.Axes, values: list[list[float]], labels: list[str], colors: list[str], expected: float) -> None:
    """Draw a mean with its spread over seeds per label, and what theory expects of a frame-wise model."""
    axes.bar(range(len(values)), [fmean(v) for v in values], yerr=[pstdev(v) for v in values], color=colors, capsize=3)
    axes.axhline(expected, color="black", linestyle="--", linewidth=1, label="expected of a frame-wise model")
    axes.legend(fontsize=7, loc="upper left", frameon=False)
    for place, each in enumerate(values):
        axes.text(place, fmean(each) + pstdev(each) + 2, f"{fmean(each):.0f}", ha="center", fontsize=8)
    axes.set_xticks(range(len(values)), labels, rotation=30, ha="right", fontsize=8)
    axes.set_ylim(0, 112)


def draw_ensembling(axes: plt.Axes) -> None:
    """Draw the accuracy by ensemble weight on seen relational and unseen static actions, as in Fig. 8."""
    rows = collect(read("components"), "method", "dataset", "part", "weight")
    for method, color in (("Baseline", COLORS[0]), ("+ TC", COLORS[-1])):
        for dataset, part, style in (("synthetic", "relational", "-"), ("synthetic_unseen", "static", "--")):
            points = sorted((key[3], fmean(v)) for key, v in rows.items() if key[:3] == (method, dataset, part))
            kind = "seen relational" if style == "-" else "unseen static"
            axes.plot(*zip(*points, strict=True), style, color=color, label=f"{method}, {kind}")
    axes.set_xlabel("share w of the fine-tuned weights", fontsize=8)
    axes.set_ylim(0, 112)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(0.0, 0.62))


def main() -> None:
    """Write figure.png."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), width_ratios=(5, 3, 4), layout="constrained")
    rows = collect(read("reference_tokens"), "method", "dataset", "part")
    values = [rows[method, "synthetic", "relational"] for method in REFERENCE_TOKENS]
    draw_bars(left, values, list(REFERENCE_TOKENS.values()), COLORS, EXPECTED["relational"])
    left.set_title("Relational actions: what a frame attends to", fontsize=10)
    left.set_ylabel("top-1, %")
    rows = collect(read("positions"), "method", "part")
    values = [rows[method, "order"] for method in POSITIONS]
    draw_bars(middle, values, list(POSITIONS.values()), [COLORS[0], COLORS[-1], COLORS[-1]], EXPECTED["order"])
    middle.set_title("Order: positional embedding", fontsize=10)
    draw_ensembling(right)
    right.set_title("Weight ensembling", fontsize=10)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.savefig(HERE / "figure.png", dpi=130)


if __name__ == "__main__":
    main()
