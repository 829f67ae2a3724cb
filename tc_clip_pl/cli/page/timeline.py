"""The timeline of a video as HTML: a bar of colored segments, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tc_clip_pl.inference.answers import Segment

COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#9c755f", "#edc948")

STYLE = """
.timeline-bar { display: flex; height: 28px; margin-top: 20px; border-radius: 4px; overflow: hidden; }
.timeline-bar span { min-width: 2px; }
.timeline-row { display: flex; gap: 8px; align-items: baseline; padding: 2px 0; }
.timeline-row i { flex: none; width: 10px; height: 10px; border-radius: 2px; }
.timeline-row b { flex: none; width: 108px; font-weight: 400; font-variant-numeric: tabular-nums; }
.timeline-list { max-height: 260px; overflow-y: auto; margin-top: 8px; }
"""


def draw_timeline(segments: Sequence[Segment]) -> str:
    """Return the segments as HTML, the same label in the same color; labels are escaped."""
    names = list(dict.fromkeys(segment.ranking[0][0] for segment in segments))
    colors = {name: COLORS[n % len(COLORS)] for n, name in enumerate(names)}
    parts, rows = [], []
    for segment in segments:
        name, probability = segment.ranking[0]
        said = f"{segment.start:.1f} to {segment.end:.1f} s"
        color, text = f"background:{colors[name]}", escape(name)
        parts.append(f'<span style="flex:{segment.end - segment.start:.3f};{color}" title="{said}: {text}"></span>')
        row = f'<i style="{color}"></i><b>{said}</b><span>{text}, {probability:.0%}</span>'
        rows.append(f'<div class="timeline-row">{row}</div>')
    return f'<div class="timeline-bar">{"".join(parts)}</div><div class="timeline-list">{"".join(rows)}</div>'
