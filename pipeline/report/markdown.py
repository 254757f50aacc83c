"""A run's report.md: what was run, the ranking of each scenario, what did not work, and how to read it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.report import figures
from pipeline.report.environments import Machine, Software
from pipeline.report.figures import UNKNOWN, number
from pipeline.report.table import BASELINE, Row, Table

REPORT_FILE = "report.md"

# An underscore inside a word is no markup, and names are full of them; a list's mark is one at the start alone.
_MARKUP = re.compile(r"[\\`*\[\]|~#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+](?= )|(?<=^\d)[.)](?= )")


@dataclass(frozen=True)
class Meta:
    """What the tables don't say. command: reproduces the run. created: as shown. label: e.g. that it is a demo."""

    run: str
    command: str
    created: str
    machines: tuple[Machine, ...] = ()
    software: tuple[Software, ...] = ()
    label: str | None = None


@dataclass(frozen=True)
class _Column:
    header: str
    cell: Callable[[Row], str]
    text: bool = False


_RANKING = (
    _Column("experiment", lambda row: row.experiment, text=True),
    _Column("optimisation", lambda row: row.optimization, text=True),
    _Column("docs/s", lambda row: figures.speed(row.docs_per_s)),
    _Column(f"against {BASELINE}", lambda row: _ratio(row)),
    _Column("GPU", lambda row: row.gpu, text=True),
    _Column("ROUGE-1 F1", lambda row: number(row.rouge1_f1, 3)),
    _Column("documents", figures.documents),
    _Column("dtype", lambda row: figures.name(row.dtype), text=True),
    _Column("batch size", lambda row: figures.name(row.batch_size)),
    _Column("peak memory, GiB", lambda row: figures.gib(row.peak_memory_bytes)),
    _Column("load, s", lambda row: number(row.load_s, 1)),
    _Column("output tokens/s", lambda row: number(row.output_tokens_per_s, 1)),
    _Column("status", figures.status, text=True),
)

_QUALITY = (
    _Column("experiment", lambda row: row.experiment, text=True),
    _Column("ROUGE-1 F1", lambda row: number(row.rouge1_f1, 4)),
    _Column("ROUGE-2 F1", lambda row: number(row.rouge2_f1, 4)),
    _Column("ROUGE-L F1", lambda row: number(row.rougeL_f1, 4)),
    _Column("ROUGE-Lsum F1", lambda row: number(row.rougeLsum_f1, 4)),
    _Column("words, mean", lambda row: number(row.output_words_mean, 1)),
    _Column("empty outputs", lambda row: figures.name(row.empty_outputs)),
    _Column("prompt tokens, mean", lambda row: number(row.prompt_tokens_mean, 1)),
    _Column("output tokens, mean", lambda row: number(row.output_tokens_mean, 1)),
)

_TIME = (
    _Column("experiment", lambda row: row.experiment, text=True),
    _Column("latency p50, s", lambda row: number(row.latency_s.p50 if row.latency_s else None, 2)),
    _Column("latency p90, s", lambda row: number(row.latency_s.p90 if row.latency_s else None, 2)),
    _Column("TTFT p50, s", lambda row: number(row.ttft_s.p50 if row.ttft_s else None, 3)),
    _Column("TPOT p50, ms", lambda row: number(row.tpot_s.p50 * 1000 if row.tpot_s else None, 1)),
    _Column("generate, s", lambda row: number(row.generate_s, 1)),
    _Column("load, s", lambda row: number(row.load_s, 1)),
    _Column("compile, s", lambda row: number(row.compile_s, 1)),
    _Column("warm-up, s", lambda row: number(row.warmup_s, 1)),
)

_RESOURCES = (
    _Column("experiment", lambda row: row.experiment, text=True),
    _Column("peak memory, GiB", lambda row: figures.gib(row.peak_memory_bytes)),
    _Column("weights, GiB", lambda row: figures.gib(row.weights_bytes)),
    _Column("KV cache, GiB", lambda row: figures.gib(row.kv_cache_bytes)),
    _Column("energy, J", lambda row: number(row.energy_j, 0)),
    _Column("weights", lambda row: figures.name(row.weights_kind), text=True),
    _Column("quantisation", lambda row: figures.name(row.quantization), text=True),
    _Column("attention", lambda row: figures.name(row.attention), text=True),
)

_HOW_TO_READ = f"""\
- **docs/s** is the only figure that ranks: completed documents over the time from handing over the first request to
  the last completion. Loading, compiling and an untimed warm-up come before it and are shown beside it.
- **single** gives an engine one document at a time, **offline** all of them at once. The two answer different
  questions and are never ranked together.
- **against {BASELINE}** is the row's docs/s over that of `{BASELINE}`, in the same scenario, on the same hardware and
  over the same documents; their number stands beside it.
- **ROUGE** is the plain mean of F1 over documents, without stemming, of the outputs that were timed. Read it against
  the **reference** row, which runs no model and is never ranked: a figure no higher than its shows no skill.
- **TTFT** is the time to a document's first token, **TPOT** the mean time of each further one.
- **{UNKNOWN}** means not known or not measured; it never means 0."""


def render(tables: Sequence[Table], meta: Meta) -> str:
    """The whole report. Text from models, logs and machines is escaped; columns without any figure are named below."""
    parts = [f"# Benchmark run {escape(meta.run)}"]
    if meta.label:
        parts.append(f"> **{escape(meta.label)}**")
    parts.append(_outcome(tables))
    parts += [_section(table) for table in tables]
    parts.append(f"## How to read this\n\n{_HOW_TO_READ}")
    parts.append(_what_was_run(tables, meta))
    parts.append(f"## Run it again\n\n{fenced(meta.command, 'sh')}")
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Any text as one line of plain Markdown that is safe inside a table cell."""
    line = figures.one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\g<0>", line)


def fenced(text: str, language: str = "text") -> str:
    """A code block that the text can't end, whatever backticks it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{figures.printable(text)}\n{fence}"


def _outcome(tables: Sequence[Table]) -> str:
    """How many jobs ended how; a reference line that stands in several tables counts once."""
    statuses = {row.key: row.status for table in tables for row in table.rows}
    counts = [(word, list(statuses.values()).count(word)) for word in ("ok", "failed", "timed_out", "skipped")]
    found = [f"{count} {word.replace('_', ' ')}" for word, count in counts if count]
    return f"{figures.plural(len(statuses), 'job')}: {', '.join(found)}." if found else "No jobs."


def _section(table: Table) -> str:
    work = table.workload
    facts = [
        escape(table.model or "no model"),
        escape(work.dataset),
        figures.plural(work.docs, "document"),
        f"at most {figures.plural(work.max_new_tokens, 'new token')}",
        f"prompt {escape(work.prompt.name)}",
        f"launcher {escape(table.launcher)}",
    ]
    parts = [
        f"## {table.scenario}: {figures.SCENARIOS[table.scenario]}",
        " · ".join(facts),
        _grid(_RANKING, table.rows, bold_fastest=True),
    ]
    if table.notes:
        notes = sorted(table.notes, key=lambda note: not note.warning)
        parts.append("\n".join(f"- {'**Warning:** ' if note.warning else ''}{escape(note.text)}" for note in notes))
    broken = [row for row in table.rows if row.status in ("failed", "timed_out")]
    skipped = [row for row in table.rows if row.status == "skipped"]
    parts += [f"### {word}\n\n{_reasons(rows)}" for word, rows in (("Failed", broken), ("Skipped", skipped)) if rows]
    if done := [row for row in table.rows if row.status == "ok"]:
        details = (("Quality and lengths", _QUALITY), ("Time", _TIME), ("Memory and settings", _RESOURCES))
        parts += [f"### {word}\n\n{_known(columns, done)}" for word, columns in details]
    return "\n\n".join(parts)


def _grid(columns: Sequence[_Column], rows: Sequence[Row], bold_fastest: bool = False) -> str:
    """A Markdown table, its columns padded so that it reads well as plain text too."""
    fastest = next((row for row in rows if bold_fastest and row.ranked and row.docs_per_s is not None), None)
    lines = [[escape(column.header) for column in columns]]
    for row in rows:
        cells = [escape(column.cell(row)) for column in columns]
        lines.append([f"**{cell}**" if row is fastest and i in (0, 2) else cell for i, cell in enumerate(cells)])
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(columns))]
    rule = ["-" * width if c.text else "-" * (width - 1) + ":" for c, width in zip(columns, widths, strict=True)]
    padded = [
        [cell.ljust(w) if c.text else cell.rjust(w) for cell, c, w in zip(line, columns, widths, strict=True)]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])


def _known(columns: Sequence[_Column], rows: Sequence[Row]) -> str:
    """A table of the columns in which at least one row has a figure; the others are named below it."""
    known = [column for column in columns if any(column.cell(row) != UNKNOWN for row in rows)]
    missing = [column.header for column in columns if column not in known]
    return _grid(known, rows) + (f"\n\nNot known for any row: {'; '.join(missing)}." if missing else "")


def _reasons(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        lines.append(f"- **{escape(row.experiment)}**: {escape(figures.reason(row.failure))}")
        if row.failure and row.failure.hint:
            lines.append(f"  - what helps: {escape(row.failure.hint)}")
        if figures.has_log(row):
            lines.append(f"  - log: `log.txt` in the folder that ends in `--{row.key[:8]}`")
    return "\n".join(lines)


def _ratio(row: Row) -> str:
    text = figures.ratio(row.speed_ratio)
    return f"{text} (n={row.ratio_docs})" if row.ratio_docs is not None else text


def _what_was_run(tables: Sequence[Table], meta: Meta) -> str:
    parts = ["## What was run", f"Run {escape(meta.run)}, {escape(meta.created)}."]
    prompts = {table.workload.prompt.name: table.workload.prompt.template for table in tables if table.model}
    for name, template in prompts.items():
        parts.append(f"Prompt {escape(name)}:\n\n{fenced(template)}")
    shas = dict.fromkeys((table.workload.dataset, table.workload.documents_sha256) for table in tables)
    parts += [f"Documents of {escape(dataset)}: SHA-256 `{sha}`." for dataset, sha in shas]
    parts += [f"Machine: {escape(machine.describe())}." for machine in meta.machines]
    for one in meta.software:
        parts.append(f"**{escape(', '.join(one.experiments))}**: {escape(one.describe())}")
        if one.packages:
            packages = ", ".join(f"{name} {version}" for name, version in sorted(one.packages.items()))
            summary = f"{figures.plural(len(one.packages), 'package')}"
            parts.append(f"<details><summary>{summary}</summary>\n\n{escape(packages)}\n\n</details>")
    return "\n\n".join(parts)
