"""The same experiments on several machines, side by side."""

from collections.abc import Sequence

from pipeline.report.model import Across, Row, Table
from pipeline.report.telling import work_apart


def across_gpus(tables: Sequence[Table]) -> tuple[Across, ...]:
    """Each experiment that came through on at least one machine, over the tables that differ by the machine alone."""
    groups: dict[tuple[object, ...], list[Table]] = {}
    for table in tables:
        work = table.workload
        question = (work.documents_sha256, work.prompt.template, work.max_new_tokens)
        groups.setdefault((table.scenario, table.model, table.synthetic, table.launcher, *question), []).append(table)
    compared = [members for members in groups.values() if len(members) > 1]
    works = work_apart([members[0] for members in compared])
    return tuple(line for members, work in zip(compared, works, strict=True) for line in _lines(members, work))


def grouped(lines: Sequence[Across]) -> dict[str, list[Across]]:
    """The lines of each group, which can stand in one table, by what tells it from the others."""
    groups: dict[str, list[Across]] = {}
    for line in lines:
        groups.setdefault(line.group, []).append(line)
    return groups


def _lines(tables: Sequence[Table], work: Sequence[str]) -> list[Across]:
    group = ", ".join([tables[0].scenario, tables[0].model or "no model", *work])
    by_table = [{row.experiment: row for row in table.rows if row.status == "ok"} for table in tables]
    lines = []
    for name in dict.fromkeys(name for rows in by_table for name in rows):
        found: list[Row | None] = [rows.get(name) for rows in by_table]
        lines.append(
            Across(
                experiment=name,
                gpus=tuple(table.gpu for table in tables),
                docs_per_s=tuple(row.docs_per_s if row else None for row in found),
                rouge1_f1=tuple(row.score("rouge1_f1") if row else None for row in found),
                cost_per_1000=tuple(row.cost_per_1000 if row else None for row in found),
                scenario=tables[0].scenario,
                model=tables[0].model,
                synthetic=tables[0].synthetic,
                group=group,
            )
        )
    return lines
