"""The chart of speeds: each experiment's mean with its interval, and how its launches and repeats spread around it."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from pipeline.figures import number
from pipeline.report.html import svg
from pipeline.report.html.drawing import Chart, beside, row_figure, scale, short
from pipeline.report.model import Row, Table

NARROWEST_PERCENT = 2.0
"""Shown to both sides of the mean, so that a spread of nothing looks like nothing."""

_ONE = "Of one launch each, so that nothing is known of how far another would be from it."
_SEVERAL = (
    "Left, the mean over launches. Right, what it is the mean of: a dot is a launch, a small tick above it one of "
    "several repeats, the band the mean's 95% interval where there are launches enough for one."
)


def draw(table: Table, name: str) -> Chart | None:
    """None where no speed is known. name: unique in the page."""
    rows = [row for row in table.rows if row.docs_per_s is not None and row.standing != "reference"]
    if not rows:
        return None
    repeated = any(len(row.launches) > 1 or _repeats(row) for row in rows)
    title = "Speed, launch by launch" if repeated else "Speed"
    tips = {f"{side}-{line}": _told(row) for line, row in enumerate(rows) for side in ("mean", "spread")}
    with svg.drawing():
        figure, panels = row_figure([row.experiment for row in rows], panels=2 if repeated else 1)
        seen = [value for line, row in enumerate(rows) for value in _draw_mean(panels[0], line, row)]
        scale(panels[0], seen, room=0.3)
        panels[0].set_xlabel("documents per second")
        if repeated:
            _draw_spreads(panels[1], rows)
        picture = svg.inline(figure, name, title, "; ".join(dict.fromkeys(tips.values())), tips)
    return Chart(title, _SEVERAL if repeated else _ONE, picture)


def _draw_spreads(axes: Axes, rows: Sequence[Row]) -> None:
    around = [value for line, row in enumerate(rows) for value in _draw_spread(axes, line, row)]
    widest = max([NARROWEST_PERCENT, *(abs(value) for value in around)]) * 1.1
    axes.axvline(0, color=svg.MUTED, linewidth=0.8)
    axes.set_xlim(-widest, widest)
    axes.set_xlabel("% from the mean")


def _draw_mean(axes: Axes, line: int, row: Row) -> list[float]:
    """Draw the mean and its interval; returns what has to be in sight."""
    assert row.docs_per_s is not None
    mean, interval = row.docs_per_s.value, row.docs_per_s.interval
    ends = [interval.low, interval.high] if interval else []
    axes.plot(ends, [line] * len(ends), color=_colour(row), linewidth=1.6)
    axes.plot([mean], [line], "o", color=_colour(row), markersize=7, gid=f"mean-{line}")
    beside(axes, short(mean), max([mean, *ends]), line)
    return [mean, *ends]


def _draw_spread(axes: Axes, line: int, row: Row) -> list[float]:
    """Draw launches, repeats and the interval as percentages from the mean; returns them."""
    assert row.docs_per_s is not None
    mean, interval = row.docs_per_s.value, row.docs_per_s.interval
    if not mean:
        return []
    dots = [_percent(launch.docs_per_s, mean) for launch in row.launches if launch.docs_per_s is not None]
    ticks = [_percent(speed, mean) for speed in _repeats(row)]
    ends = [_percent(end, mean) for end in (interval.low, interval.high)] if interval else []
    axes.plot(ends, [line] * len(ends), color=_colour(row), linewidth=11, alpha=0.2, solid_capstyle="butt")
    axes.plot(ticks, [line - 0.3] * len(ticks), "|", color=svg.MUTED, markersize=4, markeredgewidth=0.8)
    axes.plot(dots, [line] * len(dots), "o", color=_colour(row), markersize=4, alpha=0.75, gid=f"spread-{line}")
    return [*dots, *ticks, *ends]


def _colour(row: Row) -> str:
    return svg.ACCENT if row.standing == "ranked" else svg.MUTED


def _percent(value: float, mean: float) -> float:
    return 100 * (value / mean - 1)


def _repeats(row: Row) -> list[float]:
    """Docs/s of each repeat of the launches that had several."""
    docs = row.docs_completed or 0
    return [
        docs / seconds
        for launch in row.launches
        if len(launch.repeats) > 1
        for seconds in launch.repeats
        if docs and seconds > 0
    ]


def _told(row: Row) -> str:
    assert row.docs_per_s is not None
    estimate = row.docs_per_s
    text = f"{row.experiment}: {number(estimate.value, 3)} docs/s over {estimate.n} launch{'es' * (estimate.n != 1)}"
    if estimate.interval is None:
        return text
    low, high = number(estimate.interval.low, 3), number(estimate.interval.high, 3)
    return f"{text}, {estimate.interval.level:.0%} interval {low} to {high}"
