"""matplotlib's figures as inline SVG that takes its colours and fonts from the page's stylesheet.

Figures are drawn in the stand-in colours below. Each becomes a CSS variable of the page, so that dark mode and print
reach charts too, and style attributes become plain ones, since the page's security policy allows no inline style.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

DPI = 72
"""What SVG counts in, so that a place found while drawing is the place in the picture."""

INK = "#000001"
MUTED = "#000002"
LINE = "#000003"
SURFACE = "#000004"
ACCENT = "#000005"
WARN = "#000006"
SERIES = ("#000011", "#000012", "#000013", "#000014", "#000015")
"""Of the parts of stacked bars: five that people with any kind of colour vision tell apart, in order of use."""

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    SURFACE: "--surface",
    ACCENT: "--accent",
    WARN: "--warn",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)},
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": MUTED,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
# What a page's stylesheet decides, and what says nothing.
_LEFT_OUT = {"font-family", "font-style", "font-stretch"}
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@contextmanager
def drawing() -> Iterator[None]:
    """The look of all charts: whoever makes a figure and renders it does so inside."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def inline(figure: Figure, name: str, title: str, description: str, tips: Mapping[str, str]) -> Markup:
    """A figure as an <svg> element for a page.

    name: unique in the page, for the ids inside. title, description: what those hear who can't see it. tips: text shown
    over the artists that carry these names as their gid.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(stream.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    used = _referenced(root)
    for element in root.iter():
        _make_plain(element, name, used, tips)
    _describe(root, name, title, description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _referenced(root: ElementTree.Element) -> set[str]:
    """The ids that something in the picture refers to; the others name nothing that a page needs."""
    found = set()
    for element in root.iter():
        for attribute, value in element.attrib.items():
            found.update(_REFERENCE.findall(value))
            if attribute.endswith("href"):
                found.add(value.removeprefix("#"))
    return found


def _make_plain(element: ElementTree.Element, name: str, used: set[str], tips: Mapping[str, str]) -> None:
    """No namespaces, style attributes or idle ids; ids of this picture's own; its tip where it has one."""
    element.tag = element.tag.partition("}")[2] or element.tag
    tip = tips.get(element.get("id", ""))
    attributes = {key.partition("}")[2] or key: value for key, value in element.attrib.items()}
    for declaration in attributes.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        if key.strip() and key.strip() not in _LEFT_OUT:
            attributes[key.strip()] = value.strip()
    element.attrib.clear()
    for key, value in attributes.items():
        if key == "id" and value not in used:
            continue
        element.set(key, _own_name(key, value, name))
    if tip is not None:
        element.set("class", "tip")
        label = ElementTree.Element("title")
        label.text = tip
        element.insert(0, label)


def _own_name(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return f"#{name}-{value.removeprefix('#')}"
    if value in _VARIABLES:
        return f"var({_VARIABLES[value]})"
    return _REFERENCE.sub(rf"url(#{name}-\1)", value)


def _describe(root: ElementTree.Element, name: str, title: str, description: str) -> None:
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
