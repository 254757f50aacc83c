"""The charts of what memory and time are made of, as stacked bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from pipeline.figures import GIB
from pipeline.report.html import svg
from pipeline.report.html.drawing import Chart, beside, row_figure, scale, short
from pipeline.report.model import Row, Table


@dataclass(frozen=True)
class Part:
    """One segment. value: of a row, in the chart's unit; None where it is not known."""

    label: str
    colour: str
    value: Callable[[Row], float | None]


MEMORY = (
    Part("weights", svg.SERIES[0], lambda row: _gib(row.memory.weights)),
    Part("KV cache", svg.SERIES[1], lambda row: _gib(row.memory.kv_cache)),
    Part("activations", svg.SERIES[2], lambda row: _gib(row.memory.activations)),
    Part("overhead", svg.SERIES[3], lambda row: _gib(row.memory.overhead)),
    Part("not split", svg.MUTED, lambda row: _gib(_unsplit_memory(row))),
)
BEFORE = (
    Part("load", svg.SERIES[0], lambda row: row.time.load),
    Part("compile", svg.SERIES[4], lambda row: row.time.compile),
    Part("warm-up", svg.SERIES[2], lambda row: row.time.warmup),
)
GENERATING = (
    Part("prefill", svg.SERIES[1], lambda row: row.time.prefill),
    Part("decode", svg.SERIES[3], lambda row: row.time.decode),
    Part("not split", svg.MUTED, lambda row: _unsplit_time(row)),
)


def memory(table: Table, name: str) -> Chart | None:
    """What the peak of memory is made of; None where it is not known. name: unique in the page."""
    rows = [row for row in table.rows if row.memory.peak is not None and row.standing != "reference"]
    if not rows:
        return None
    title = "Peak memory"
    with svg.drawing():
        figure, (axes,) = row_figure([row.experiment for row in rows])
        tips = _stack(axes, rows, MEMORY, "GiB")
        axes.set_xlabel("GiB")
        figure.legend(loc="outside upper left", ncols=5, handlelength=1, columnspacing=1.2)
        picture = svg.inline(figure, name, title, "; ".join(tips.values()), tips)
    return Chart(title, "At its highest while generating, split as far as the engine tells.", picture)


def time(table: Table, name: str) -> Chart | None:
    """Where the seconds went, before the first document and after; None where that is not known."""
    rows = [row for row in table.rows if row.time.generate is not None and row.standing != "reference"]
    if not rows:
        return None
    title = "Time"
    with svg.drawing():
        figure, (before, generating) = row_figure([row.experiment for row in rows], wide=True, panels=2)
        tips = {**_stack(before, rows, BEFORE, "s"), **_stack(generating, rows, GENERATING, "s")}
        before.set_title("Before the first document")
        generating.set_title("From the first document to the last")
        for axes in (before, generating):
            axes.set_xlabel("seconds")
        figure.legend(loc="outside upper left", ncols=6, handlelength=1, columnspacing=1.6)
        picture = svg.inline(figure, name, title, "; ".join(tips.values()), tips)
    caption = "Means over launches. The right side alone counts for documents per second. The two scales differ."
    return Chart(title, caption, picture, wide=True)


def _stack(axes: Axes, rows: Sequence[Row], parts: Sequence[Part], unit: str) -> dict[str, str]:
    """Draw the known parts of every row and their sum; returns a tip for each segment."""
    tips: dict[str, str] = {}
    sums = [0.0] * len(rows)
    for part in parts:
        label: str | None = part.label
        for line, row in enumerate(rows):
            value = part.value(row)
            if not value:
                continue
            gid = f"{part.label}-{line}"
            bar = axes.barh(line, value, left=sums[line], height=0.62, color=part.colour, label=label)[0]
            bar.set(gid=gid, edgecolor=svg.SURFACE, linewidth=1)
            tips[gid] = f"{row.experiment}, {part.label}: {short(value)} {unit}"
            sums[line] += value
            label = None  # the legend needs it once
    for line, total in enumerate(sums):
        if total:
            beside(axes, short(total), total, line)
    scale(axes, [0.0, *sums], room=0.14)
    return tips


def _gib(value: int | None) -> float | None:
    return None if value is None else value / GIB


def _unsplit_memory(row: Row) -> int | None:
    split = row.memory
    if split.peak is None:
        return None
    parts = (split.weights, split.kv_cache, split.activations, split.overhead)
    return max(0, split.peak - sum(part for part in parts if part is not None))


def _unsplit_time(row: Row) -> float | None:
    split = row.time
    if split.generate is None:
        return None
    return max(0.0, split.generate - (split.prefill or 0.0) - (split.decode or 0.0))
