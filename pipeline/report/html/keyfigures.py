"""The few figures of the leading row that stand above all tables, for those who read no further."""

from dataclasses import dataclass

from pipeline.figures import number
from pipeline.report import figures
from pipeline.report.html.cells import gate, signed
from pipeline.report.html.columns import BOUND_BY
from pipeline.report.html.drawing import short
from pipeline.report.model import Row, Table


@dataclass(frozen=True)
class KeyFigure:
    """label: what, with its unit. detail: its interval, or what it is held against."""

    label: str
    text: str
    detail: str | None = None


def leader(table: Table) -> Row | None:
    """The fastest row that is ranked."""
    return next((row for row in table.rows if row.standing == "ranked" and row.docs_per_s is not None), None)


def key_figures(table: Table) -> tuple[KeyFigure, ...]:
    """Those of the leading row that are known; none without such a row."""
    row = leader(table)
    if row is None:
        return ()
    found = (_speed(row), _ratio(row, table), _quality(row, table), _memory(row), _limit(row))
    return tuple(one for one in found if one is not None)


def _speed(row: Row) -> KeyFigure | None:
    if row.docs_per_s is None:
        return None
    interval = row.docs_per_s.interval
    detail = f"{short(interval.low)} to {short(interval.high)}" if interval else None
    return KeyFigure("documents per second", short(row.docs_per_s.value), detail)


def _ratio(row: Row, table: Table) -> KeyFigure | None:
    if row.speed_ratio is None or row.experiment == table.baseline:
        return None
    interval = row.speed_ratio.interval
    return KeyFigure(
        f"the speed of {table.baseline}",
        figures.times(row.speed_ratio),
        figures.ends(interval, 2) if interval else None,
    )


def _quality(row: Row, table: Table) -> KeyFigure | None:
    if table.synthetic:
        return KeyFigure("quality is not known", "speed only", "random weights")
    value = row.score("rouge1_f1")
    if value is None:
        return None
    paired = row.differences.get("rouge1_f1")
    told = [f"{signed(paired.difference.value, 4)} against {table.baseline}"] if paired else []
    told += [gate(row.gate, "").text] if row.gate else []
    return KeyFigure("ROUGE-1 F1", number(value, 3), ", ".join(told) or None)


def _memory(row: Row) -> KeyFigure | None:
    return None if row.memory.peak is None else KeyFigure("GiB of memory at most", figures.gib(row.memory.peak))


def _limit(row: Row) -> KeyFigure | None:
    if row.roofline is None or row.roofline.fraction is None:
        return None
    bound = row.bounded_by or BOUND_BY[row.roofline.bound_by]
    return KeyFigure("of the hardware's limit", figures.share_of_limit(row), bound)
