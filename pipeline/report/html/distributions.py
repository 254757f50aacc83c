"""The chart of latencies: how the documents' times are spread, not their means alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from pipeline.report.html import svg
from pipeline.report.html.drawing import Chart, is_logarithmic, row_figure, scale, short
from pipeline.report.model import Output, Table

FEW = 40
"""Up to so many samples are shown one by one; more as their density."""
BINS = 60
HALF_HEIGHT = 0.34


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str
    sample: Callable[[Output], float | None]


_PANELS = (
    _Panel("Time to first token", "s", lambda output: output.ttft_s),
    _Panel("Time per output token", "ms", lambda output: output.tpot_s and output.tpot_s * 1000),
    _Panel("Latency of a document", "s", lambda output: output.latency_s),
)


def draw(table: Table, name: str) -> Chart | None:
    """None where no document's times are known. name: unique in the page."""
    names = [row.experiment for row in table.rows if row.standing in ("ranked", "below", "unranked")]
    known = [(panel, samples) for panel in _PANELS if any((samples := _samples(table, names, panel)).values())]
    shown = [name for name in names if any(samples[name] for _, samples in known)]
    if not shown:
        return None
    tips: dict[str, str] = {}
    title = "Latency"
    with svg.drawing():
        figure, panes = row_figure(shown, wide=True, panels=len(known))
        for axes, (panel, samples) in zip(panes, known, strict=True):
            every = [value for name in shown for value in samples[name]]
            logarithmic = is_logarithmic(every)
            for line, one in enumerate(shown):
                if samples[one]:
                    gid = f"{panel.unit}-{panel.title[0]}-{line}"
                    tips[gid] = _draw_row(axes, line, samples[one], gid, one, panel, logarithmic)
            scale(axes, every, room=0.06)
            axes.set_title(panel.title)
            axes.set_xlabel({"s": "seconds", "ms": "milliseconds"}[panel.unit])
        picture = svg.inline(figure, name, title, "; ".join(tips.values()), tips)
    since = "since its own start" if table.scenario == "single" else "since all documents were handed over"
    over = "the documents" if table.shown_of is None else f"{len(table.documents):,} of {table.shown_of:,} documents"
    caption = f"Over {over} of the first launch; first token and latency count {since}. The upright line is the median."
    sizes = [len(samples[one]) for _, samples in known for one in shown if samples[one]]
    if min(sizes) <= FEW:
        caption += " A dot a document."
    if max(sizes) > FEW:
        caption += " Small ticks: the 90th and 99th percentile."
    return Chart(title, caption, picture, wide=True)


def _samples(table: Table, names: Sequence[str], panel: _Panel) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in names}
    for document in table.documents:
        for name, output in document.outputs.items():
            value = panel.sample(output)
            if name in found and value is not None:
                found[name].append(value)
    return found


def _draw_row(
    axes: Axes, line: int, values: Sequence[float], gid: str, name: str, panel: _Panel, logarithmic: bool
) -> str:
    """Draw one experiment's samples; returns its tip."""
    if len(values) <= FEW:
        axes.plot(values, [line] * len(values), "o", color=svg.ACCENT, markersize=4, alpha=0.35, gid=gid)
    else:
        # bins as wide as the scale shows them, so that each one's height stands for its share of the documents
        space = np.geomspace if logarithmic else np.linspace
        edges = space(min(values), max(values) * (1 + 1e-9) + 1e-12, min(BINS, len(values) // 8) + 1)
        counts, _ = np.histogram(values, edges)
        heights = np.append(counts, counts[-1]) / counts.max() * HALF_HEIGHT
        axes.fill_between(
            edges, line - heights, line + heights, step="post", color=svg.ACCENT, alpha=0.35, linewidth=0, gid=gid
        )
    middle, high, highest = (float(np.percentile(values, share)) for share in (50, 90, 99))
    told = f"{name}, {panel.title.lower()}: median {short(middle)} {panel.unit}"
    axes.plot([middle], [line], "|", color=svg.INK, markersize=14, markeredgewidth=1.8)
    if len(values) > FEW:
        axes.plot([high, highest], [line, line], "|", color=svg.INK, markersize=5, markeredgewidth=1)
        told += f", p90 {short(high)} {panel.unit}, p99 {short(highest)} {panel.unit}"
    return f"{told} over {len(values)} documents"
