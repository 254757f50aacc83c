"""report.md: the answer, the ranking of each table, what did not work, what it was run with, and how to read it."""

from collections.abc import Sequence

from pipeline.report import columns, figures, imported, shards, times
from pipeline.report.across import grouped
from pipeline.report.figures import UNKNOWN
from pipeline.report.markup import code, details, escape, fenced, grid, known
from pipeline.report.model import Across, Note, Report, Row, Table
from pipeline.report.section import as_markdown

_HOW_TO_READ = f"""\
- **docs/s** is the only figure that ranks: completed documents over the time from handing over the first request to
  the last completion, the geometric mean over launches. Loading, compiling and an untimed warm-up come before it.
- **single** gives an engine one document at a time, **offline** all of them at once. The two answer different
  questions and are never ranked together; nor are two models, workloads, launchers, machines or numbers of shards, nor
  random weights and real ones.
- **×** is the row's docs/s over the baseline's, launch by launch, over the same documents and prompt ids. An interval
  needs five launches (`--launches 5`), and so does saying from what **slowdown** on they would find one.
- **ROUGE** is the plain mean of F1 over documents, without stemming, of the outputs that were timed. Read it against
  the **reference** row, which runs no model and is never ranked: a figure no higher than its shows no skill.
  Its interval is over documents (20 at least) and for the row alone; two rows are compared by their paired differences.
- **The quality gate** holds each row's paired loss of every ROUGE, and its output length, against a margin: pass, fail
  or undecided. What fails stands **below the line**, as does what can't be compared.
- **Of the limit**: the least time that the hardware allows for exactly these prompts and outputs, over the time taken.
- **Coverage** and **density** say how much of an output is passages of its document, **repetition** how much is a
  repeat of itself.
- **TTFT** is the time to a document's first token, **TPOT** the mean time of each further one.
- **{UNKNOWN}** means not known or not measured; it never means 0."""


def render(report: Report) -> str:
    """The whole report. Text from models, logs and machines is escaped; columns without any figure are named below."""
    runs = ", ".join(report.runs)
    parts = [f"# Benchmark {'run' if len(report.runs) == 1 else 'runs'} {escape(runs)}"]
    parts += [f"> **{escape(label)}**" for label in report.labels]
    parts += [f"**{escape(report.answer)}**", _jobs(report.tables)]
    parts += [_section(table, report) for table in report.tables]
    if report.imported:
        parts.append(as_markdown(imported.section(report.imported)))
    if report.across:
        parts.append(f"## Across machines\n\n{_across(report.across)}")
    if report.published:
        parts.append(f"## Beside the published results\n\n{known(columns.PUBLISHED, report.published)}")
    if report.shards:
        first = 0 if len(report.runs) > 1 else 1  # the column that names the run
        parts.append(f"## Shards\n\n{known(shards.COLUMNS[first:], report.shards)}\n\n{escape(shards.NOTE)}")
    if report.job_times or report.command_times:
        parts.append(f"## Where the time went\n\n{_times(report)}")
    parts.append(f"## How to read this\n\n{_HOW_TO_READ}")
    parts.append(_what_was_run(report))
    if report.commands:
        parts.append(f"## Run it again\n\n{fenced(chr(10).join(report.commands), 'sh')}")
    return "\n\n".join(parts) + "\n"


def _jobs(tables: Sequence[Table]) -> str:
    """How many jobs ended how; a reference line that stands in several tables counts once."""
    statuses = {launch.folder: launch.status for table in tables for row in table.rows for launch in row.launches}
    counts = [(word, list(statuses.values()).count(word)) for word in ("ok", "failed", "timed_out", "skipped")]
    found = [f"{count} {word.replace('_', ' ')}" for word, count in counts if count]
    return f"{figures.plural(len(statuses), 'job')}: {', '.join(found)}." if found else "No jobs."


def _section(table: Table, report: Report) -> str:
    work = table.workload
    facts = [
        escape(figures.model(table)),
        escape(work.dataset),
        figures.plural(work.docs, "document"),
        f"at most {figures.plural(work.max_new_tokens, 'new token')}",
        f"prompt {escape(work.prompt.name)}",
        f"launcher {escape(table.launcher)}",
    ]
    fastest = next((row for row in table.rows if row.standing == "ranked" and row.docs_per_s), None)
    parts = [f"## {table.scenario} on {escape(table.gpu)}: {figures.title(table)}", " · ".join(facts)]
    if len(report.tables) > 1:
        parts.append(escape(table.answer))
    parts.append(known(columns.of(table, columns.ranking(table.baseline, report.currency)), table.rows, fastest))
    if table.notes:
        parts.append("\n".join(map(_note, table.notes)))
    for heading, text in (
        ("Below the line", _below(table.rows)),
        ("Undecided quality", _undecided(table.rows)),
        ("Why it is slower", _explanations(table.rows)),
        ("Failed", _reasons([row for row in table.rows if row.standing == "failed"])),
        ("Skipped", _reasons([row for row in table.rows if row.standing == "skipped"])),
    ):
        parts += [f"### {heading}\n\n{text}"] if text else []
    return "\n\n".join([*parts, *_more(table)])


def _note(note: Note) -> str:
    return f"- {'**Warning:** ' if note.warning else ''}{escape(note.text)}"


def _below(rows: Sequence[Row]) -> str:
    return "\n".join(
        f"- **{escape(row.experiment)}**: {escape(row.below_because)}"
        for row in rows
        if row.standing == "below" and row.below_because
    )


def _undecided(rows: Sequence[Row]) -> str:
    return "\n".join(
        f"- **{escape(row.experiment)}**: {escape(row.gate.reason)}"
        for row in rows
        if row.gate and row.gate.verdict == "undecided"
    )


def _explanations(rows: Sequence[Row]) -> str:
    return "\n".join(f"- **{escape(row.experiment)}**: {escape(row.explanation)}" for row in rows if row.explanation)


def _more(table: Table) -> list[str]:
    """The details of what came through."""
    done = [row for row in table.rows if row.status == "ok"]
    if not done:
        return []
    sections = [
        ("Lengths" if table.synthetic else "Quality and lengths", known(columns.of(table, columns.QUALITY), done)),
        ("Time", known(columns.TIME, done)),
        ("Memory and settings", known(columns.RESOURCES, done)),
    ]
    parts = [f"### {heading}\n\n{text}" for heading, text in sections]
    if found := columns.compared(table):
        summary = f"Against {table.baseline}, over the documents that both completed"
        parts.append(f"### Differences\n\n{details(summary, known(columns.DIFFERENCES, found))}")
    return parts


def _reasons(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        lines.append(f"- **{escape(row.experiment)}**: {escape(figures.reason(row.failure))}")
        if row.failure and row.failure.hint:
            lines.append(f"  - what helps: {escape(row.failure.hint)}")
        lines += [f"  - log: {code(log)}" for log in figures.logs(row)]
    return "\n".join(lines)


def _across(lines: Sequence[Across]) -> str:
    groups = grouped(lines).items()
    return "\n\n".join(f"{escape(group)}\n\n{grid(columns.across(members), members)}" for group, members in groups)


def _times(report: Report) -> str:
    first = 0 if len(report.runs) > 1 else 1  # the column that names the run
    parts = []
    if report.job_times:
        parts += [known(times.JOBS[first:], report.job_times), escape(times.JOBS_NOTE)]
    if report.command_times:
        parts += [known(times.COMMANDS[first:], report.command_times), escape(times.COMMANDS_NOTE)]
    return "\n\n".join(parts)


def _what_was_run(report: Report) -> str:
    parts = ["## What was run", f"{escape(', '.join(report.runs))}, reported {escape(report.created)}."]
    for prompt in dict.fromkeys(table.workload.prompt for table in report.tables if table.model):
        parts.append(f"Prompt {escape(prompt.name)}:\n\n{fenced(prompt.template)}")
    shas = dict.fromkeys((table.workload.dataset, table.workload.documents_sha256) for table in report.tables)
    parts += [f"Documents of {escape(dataset)}: SHA-256 `{sha}`." for dataset, sha in shas]
    parts += [f"Machine: {escape(machine.describe())}." for machine in report.machines]
    for one in report.software:
        parts.append(f"**{escape(', '.join(one.experiments))}**: {escape(one.describe())}")
        if one.packages:
            packages = ", ".join(f"{name} {version}" for name, version in sorted(one.packages.items()))
            parts.append(details(figures.plural(len(one.packages), "package"), escape(packages)))
    return "\n\n".join(parts)
