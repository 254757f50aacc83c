"""The chart of speed against quality: who is beaten at both by nobody."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from pipeline.comparison.estimates import Estimate
from pipeline.figures import number
from pipeline.report.html import svg
from pipeline.report.html.drawing import WIDE_IN, Chart, scale
from pipeline.report.model import Row, Standing, Table

SCORE = "rouge1_f1"
HEIGHT_IN = 4.6
SMALLEST_RANGE = 0.02
"""Of ROUGE-1 on the axis, so that noise does not look like a difference."""


@dataclass(frozen=True)
class _Style:
    label: str
    marker: str
    colour: str
    hollow: bool


_STYLES: dict[Standing, _Style] = {
    "ranked": _Style("ranked", "o", svg.ACCENT, hollow=False),
    "below": _Style("below the line", "X", svg.WARN, hollow=False),
    "unranked": _Style("published settings", "D", svg.MUTED, hollow=True),
}


@dataclass(frozen=True)
class Point:
    """A row in the plane. x_ends, y_ends: of its intervals, None where there is none."""

    row: Row
    x: float
    y: float
    x_ends: tuple[float, float] | None
    y_ends: tuple[float, float] | None


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats at speed and quality both, slowest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.x, -point.y)):
        if not best or point.y > best[-1].y:
            best.append(point)
    return best[::-1]


def draw(table: Table, name: str) -> Chart | None:
    """None with fewer than two rows whose speed and ROUGE-1 are known. name: unique in the page."""
    points = [point for row in table.rows if row.standing in _STYLES and (point := _point(row))]
    if len(points) < 2:
        return None
    title = "Speed against quality"
    tips = {f"point-{place}": _told(point) for place, point in enumerate(points)}
    with svg.drawing():
        figure = Figure(figsize=(WIDE_IN, HEIGHT_IN), dpi=svg.DPI, layout="constrained")
        axes = figure.add_subplot()
        _set_scales(axes, points, table)
        _draw_frontier(axes, [point for point in points if point.row.standing == "ranked"])
        _draw_references(axes, table)
        for place, point in enumerate(points):
            _draw_point(axes, point, f"point-{place}")
        axes.set_xlabel("documents per second (faster to the right)")
        axes.set_ylabel("ROUGE-1 F1 (better upwards)")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=4, handlelength=1.4)
        figure.draw_without_rendering()
        _name_points(figure, axes, points)
        picture = svg.inline(figure, name, title, "; ".join(tips.values()), tips)
    caption = "The line joins the ranked experiments that no other one beats at both."
    if any(point.x_ends for point in points):
        caption += " Bars across: the 95% interval of the speed over launches."
    if any(point.y_ends for point in points):
        caption += " Bars upright: the 95% interval of each row's own ROUGE-1 F1 over documents."
        if table.baseline:
            caption += (
                f" They hold how much documents differ, which all rows share: whether quality is lost against "
                f"{table.baseline} is decided by the paired difference, in the table."
            )
    return Chart(title, caption, picture, wide=True)


def _point(row: Row) -> Point | None:
    quality = row.scores.get(SCORE)
    if row.docs_per_s is None or quality is None:
        return None
    return Point(row, row.docs_per_s.value, quality.value, _ends(row.docs_per_s), _ends(quality))


def _ends(value: Estimate) -> tuple[float, float] | None:
    return (value.interval.low, value.interval.high) if value.interval else None


def _set_scales(axes: Axes, points: Sequence[Point], table: Table) -> None:
    scale(axes, [value for point in points for value in (point.x, *(point.x_ends or ()))], room=0.2)
    heights = [value for point in points for value in (point.y, *(point.y_ends or ()))]
    heights += [row.scores[SCORE].value for row in table.rows if row.standing == "reference" and SCORE in row.scores]
    low, high = min(heights), max(heights)
    missing = max(0.0, SMALLEST_RANGE - (high - low)) / 2
    margin = 0.12 * max(high - low, SMALLEST_RANGE)
    axes.set_ylim(max(0.0, low - missing - margin), high + missing + margin)


def _draw_frontier(axes: Axes, ranked: Sequence[Point]) -> None:
    best = frontier(ranked)
    if not best:
        return
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    x = [left, *(point.x for point in best), best[-1].x]
    y = [best[0].y, *(point.y for point in best), bottom]
    axes.fill_between(x, y, bottom, step="pre", color=svg.ACCENT, alpha=0.06, linewidth=0)
    axes.step(x, y, where="pre", color=svg.ACCENT, linewidth=1.3, alpha=0.7, label="frontier")


def _draw_references(axes: Axes, table: Table) -> None:
    for row in table.rows:
        if row.standing == "reference" and SCORE in row.scores:
            height = row.scores[SCORE].value
            axes.axhline(height, color=svg.MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                f"{row.experiment} (no model)",
                (1, height),
                xytext=(-4, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=8.5,
                color=svg.MUTED,
            )


def _draw_point(axes: Axes, point: Point, gid: str) -> None:
    style = _STYLES[point.row.standing]
    if point.x_ends:
        axes.plot(point.x_ends, [point.y] * 2, color=style.colour, linewidth=1.3, alpha=0.65)
    if point.y_ends:
        axes.plot([point.x] * 2, point.y_ends, color=style.colour, linewidth=1.3, alpha=0.65)
    known = axes.get_legend_handles_labels()[1]
    axes.plot(
        [point.x],
        [point.y],
        style.marker,
        color=style.colour,
        markerfacecolor=svg.SURFACE if style.hollow else style.colour,
        markeredgecolor=style.colour if style.hollow else svg.SURFACE,
        markersize=9,
        gid=gid,
        linestyle="none",
        label=None if style.label in known else style.label,
    )


def _name_points(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Each point's name beside it, where it covers neither another name nor a point."""
    taken = [box for point in points for box in _boxes(axes, point)]
    for point in sorted(points, key=lambda point: -point.y):
        for across, up, side in _PLACES:
            label = axes.annotate(
                point.row.experiment,
                (point.x, point.y),
                xytext=(across, up),
                textcoords="offset points",
                ha=side,
                va="center",
                fontweight="bold" if point.row.standing == "ranked" else "normal",
                arrowprops={"arrowstyle": "-", "color": svg.LINE, "linewidth": 0.8} if abs(up) > 12 else None,
            )
            box = label.get_window_extent().padded(2)
            inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                break
            if (across, up) != _PLACES[-1][:2]:
                label.remove()
        taken.append(box)


_PLACES = (
    *((side * 9, up, "left" if side > 0 else "right") for up in (10, -10, 0) for side in (1, -1)),
    *((side * 14, up, "left" if side > 0 else "right") for up in (24, -24, 38, -38) for side in (1, -1)),
    (12, 52, "left"),
)
"""Of a name beside its point, the best first; the last is taken where none is free."""


def _boxes(axes: Axes, point: Point) -> list[Bbox]:
    """Where the point and its intervals are, in the picture's units."""
    x, y = axes.transData.transform((point.x, point.y))
    boxes = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)]
    for ends in (
        point.y_ends and [(point.x, end) for end in point.y_ends],
        point.x_ends and [(end, point.y) for end in point.x_ends],
    ):
        if ends:
            (left, bottom), (right, top) = axes.transData.transform(ends)
            boxes.append(Bbox.from_extents(left, bottom, right, top).padded(1))
    return boxes


def _told(point: Point) -> str:
    text = f"{point.row.experiment}: {number(point.x, 3)} docs/s"
    if point.x_ends:
        text += f" ({number(point.x_ends[0], 3)} to {number(point.x_ends[1], 3)})"
    text += f", ROUGE-1 F1 {number(point.y, 4)}"
    if point.y_ends:
        text += f" ({number(point.y_ends[0], 4)} to {number(point.y_ends[1], 4)})"
    return text if point.row.standing == "ranked" else f"{text}, {_STYLES[point.row.standing].label}"
