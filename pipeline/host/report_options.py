"""The options of the report, on the orchestrator's command line."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.catalog import Catalog, find
from pipeline.errors import UsageError
from pipeline.hardware import CPU
from pipeline.names import check_name
from pipeline.plain import shown

FORMATS = ("html", "md", "csv", "pdf")
LONGEST_CURRENCY = 8


@dataclass(frozen=True)
class Reporting:
    """How a report is made. output: the folder for its files, None for the run's own; the file of --explain-speed, None
    for none. formats: of FORMATS.

    baseline, margin: None where they weren't given. prices: an hour's, by the GPU's name; price: of any other machine.
    texts: whether the documents' texts are in it.
    """

    output: Path | None
    formats: tuple[str, ...]
    baseline: str | None
    margin: float | None
    price: float | None
    prices: Mapping[str, float]
    currency: str
    texts: bool


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Those of a report, in a group of their own."""
    group = parser.add_argument_group("the report, at the end of a run or with --report")
    group.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="with --report, the folder that the files go to (default: the run); with --explain-speed, a Markdown file "
        "to write too",
    )
    group.add_argument(
        "--formats",
        default=",".join(FORMATS),
        metavar="NAME,…",
        help="which files to write; a PDF needs a browser (default: %(default)s)",
    )
    group.add_argument(
        "--baseline", metavar="NAME", help="the experiment that others are compared with (default: none)"
    )
    group.add_argument(
        "--margin",
        type=_share,
        metavar="SHARE",
        help="the loss of ROUGE, as a share of the baseline's, that passes the quality gate (default: 0.01)",
    )
    group.add_argument(
        "--price-per-hour",
        action="append",
        default=[],
        metavar="[GPU=]X",
        help="what an hour of one GPU costs, or of a machine without any, for the cost of 1,000 documents; "
        "repeatable, a kind of GPU each",
    )
    group.add_argument("--currency", default="USD", metavar="NAME", help="of the price (default: %(default)s)")
    group.add_argument(
        "--without-texts",
        action="store_true",
        help="leave out the texts of documents, references and summaries, to share a report over confidential ones",
    )


def parse_reporting(given: argparse.Namespace, catalog: Catalog, action: str) -> Reporting:
    """The options of the report, checked; a baseline of a run that is to come has to be an experiment that there is."""
    if given.output is not None and action not in ("report", "explain_speed"):
        raise UsageError("--output is for --report and --explain-speed; a run's own report goes into its folder")
    if given.report and len(given.report) > 1 and given.output is None:
        raise UsageError("--report of several runs belongs to none of their folders; say where with --output DIR")
    if given.baseline is not None:
        check_name(given.baseline, "--baseline")
        if action == "run":
            find(catalog.experiments, given.baseline, "experiment")
    formats = tuple(dict.fromkeys(given.formats.split(",")))
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UsageError(f"--formats {shown(unknown[0])}: takes {', '.join(FORMATS)}, with commas between them")
    prices: dict[str, float] = {}
    for value in given.price_per_hour:
        gpu, _, price = value.rpartition("=")
        if gpu:
            find(dict.fromkeys([*catalog.gpus, CPU]), gpu, "GPU")
        prices[gpu] = _price(price, value)
    if not given.currency.isprintable() or not 0 < len(given.currency) <= LONGEST_CURRENCY:
        raise UsageError(f"--currency {shown(given.currency)}: write a few letters, such as USD")
    return Reporting(
        output=given.output and given.output.resolve(),
        formats=formats,
        baseline=given.baseline,
        margin=given.margin,
        price=prices.pop("", None),
        prices=prices,
        currency=given.currency,
        texts=not given.without_texts,
    )


def _price(text: str, given: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        raise UsageError(f"--price-per-hour {shown(given)}: write a number from 0, or GPU=number")
    return price


def _share(text: str) -> float:
    """A number from 0 to 1, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a number from 0 to 1")
    return value
