"""The same experiments on several machines, side by side."""

from collections.abc import Sequence

from pipeline.report.model import Across, Row, Table


def across_gpus(tables: Sequence[Table]) -> tuple[Across, ...]:
    """Each experiment that came through on at least one machine, over the tables that differ by the machine alone."""
    groups: dict[tuple[object, ...], list[Table]] = {}
    for table in tables:
        work = table.workload
        question = (work.documents_sha256, work.prompt.template, work.max_new_tokens)
        groups.setdefault((table.scenario, table.model, table.launcher, *question), []).append(table)
    return tuple(line for members in groups.values() if len(members) > 1 for line in _lines(members))


def _lines(tables: Sequence[Table]) -> list[Across]:
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
            )
        )
    return lines
