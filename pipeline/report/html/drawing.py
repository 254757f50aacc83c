"""What all charts share: their sizes, their scales and how their rows are named."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pipeline.figures import number
from pipeline.report.html import svg

WIDE_IN, HALF_IN = 12.4, 6.6
ROW_IN, AROUND_IN = 0.36, 1.05
LOGARITHMIC_FROM = 20
"""From this ratio of the largest figure to the smallest on, a scale is logarithmic."""


@dataclass(frozen=True)
class Chart:
    """picture: an <svg> element. caption: how to read it. wide: takes the page's whole width."""

    title: str
    caption: str
    picture: Markup
    wide: bool = False


def row_figure(names: Sequence[str], wide: bool = False, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with one line for each name, the first on top, and so many panels side by side."""
    size = (WIDE_IN if wide else HALF_IN, max(2.2, AROUND_IN + ROW_IN * len(names)))
    figure = Figure(figsize=size, dpi=svg.DPI, layout="constrained")
    panes = list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])
    for axes in panes:
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
    panes[0].set_yticks(range(len(names)), names)
    panes[0].set_ylim(len(names) - 0.4, -0.6)
    for label in panes[0].get_yticklabels():
        label.set_color(svg.INK)
    return figure, panes


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether the values are too far apart for a scale from 0."""
    low, high = min(values), max(values)
    return low > 0 and high / low > LOGARITHMIC_FROM


def scale(axes: Axes, values: Sequence[float], room: float = 0.16) -> None:
    """The x axis from 0, or logarithmic where the values are too far apart. room: a share, kept free on the right."""
    low, high = min(values), max(values)
    if is_logarithmic(values):
        axes.set_xscale("log")
        spread = (high / low) ** room
        axes.set_xlim(low / spread**0.5, high * spread)
        # powers of ten alone would leave a short axis with a single label
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high / low < 3000 else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, (high or 1) * (1 + room))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def short(value: float) -> str:
    """About three significant digits."""
    return number(value, 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3)


def beside(axes: Axes, text: str, x: float, line: float) -> None:
    """A figure on the right of where its bar ends."""
    axes.annotate(text, (x, line), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5)
