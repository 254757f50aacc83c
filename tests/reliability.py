"""Writes docs/reliability.md from what the fault suite, the held logs, the fuzzing and the soak came to.

`python -m tests.reliability`, after `pytest tests/faults --write-reliability`, `python -m tests.fuzz.campaign --record`
or `python -m benchmarks.soak` wrote their records anew.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.analysis.failures import UNKNOWN, load_signatures
from pipeline.files import write_atomically
from tests.analysis.held_set import Judged, confusion, judge
from tests.faults.register import OUTCOMES_FILE, provoked

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "reliability.md"
HELD = TESTS / "analysis" / "held"
CAMPAIGN_FILE = TESTS / "fuzz" / "campaign.json"
SOAK_FILE = TESTS.parent / "benchmarks" / "results" / "soak.json"

INTRODUCTION = """\
# Reliability

What was done to the benchmark on purpose, and what came of it. The tables are made of records that the suites write
(`python -m tests.reliability`); a test holds them against the suites.

## Faults

`tests/faults` breaks real runs with real parts: engines, processes, containers, a Docker engine of its own, file
systems. For each fault the suite checks the same three things: what was finished before is still there, byte by byte;
nothing of the run is left, neither process nor container nor lock; and the same command, given again, completes. The
third column is what the command that met the fault said, the fourth what the next one said.
"""

PROVOKED_TEXT = """\

## Failures that were provoked

Not printed, but brought about, each through the real path from a job's or a preparation's log to its class
(`tests/faults/test_provoked.py`). Besides, a container prints the sample line of every signature in the catalogue and
ends, and the class is read from its log (`tests/containers/test_failure_signatures.py`).
"""

HELD_TEXT = """\

## How often a log finds its class

`tests/analysis/held` holds whole logs with the class that each shows. They were written by people who knew the classes
and their meanings, and none of the patterns, after public threads that the catalogue does not cite; committed before
the patterns were final, and not edited since, but for the name of a folder in a path. The messages are as programs
print them, as far as the threads showed them or their writers knew them; what stands around them was put together anew,
so that a log holds the noise of a real one. `tests/analysis/developed` holds 126 more, which the patterns were improved
on: of its first 82, 71 were right before anybody had read them, and after that 40 of the 44 others.
"""

FUZZING_TEXT = """\

## Fuzzing

Every parser of outside data, with hypothesis and, guided by coverage, with atheris (`tests/fuzz`). It must answer or
refuse with an error that names the file, in bounded time, and touch nothing outside its folder. The tests run a part of
that each time; the table is the longer campaign of {date} (Python {python}, {tools}).
*Mended* counts the kinds of inputs that broke a parser before, or would have; those of a reader that several parsers
share count for each, and stand once among the tests.
"""

SOAK_TEXT = """\

## Soak

{jobs} jobs in one run over the Docker launcher, each in a container of its own (`python -m benchmarks.soak`): {ok}
ended well, {seconds:.2f} s a job. Of the orchestrator itself, *before* is after {settled} jobs, when it had settled; of
Docker, before the first. A shorter soak is among the tests.
"""

MIB = 1024**2
DOCKER = ("docker_before", "docker_after")


def render() -> str:
    """The whole document."""
    return "".join(
        [INTRODUCTION, "\n", _faults(), PROVOKED_TEXT, "\n", _provoked(), HELD_TEXT, "\n", _held(), _fuzzing(), _soak()]
    )


def _faults() -> str:
    rows = json.loads(OUTCOMES_FILE.read_text(encoding="utf-8"))
    return _table(
        ["fault", "strikes", "the command says", "the next one"],
        ([row["fault"], row["part"], row["first"], row["next"]] for row in rows),
    )


def _provoked() -> str:
    return _table(["class", "by"], ([f"`{name}`", ", ".join(tests)] for name, tests in provoked().items()))


def _held() -> str:
    table = load_signatures()
    judged = judge(HELD, table)
    right = sum(item.right for item in judged)
    unknown = sum(item.held.class_ == UNKNOWN for item in judged)
    share = f"{right} of {len(judged)} are right ({right / len(judged):.1%}); {unknown} of them match no class."
    where = "Rows are the groups that the logs belong to,\ncolumns those that they were put in.\n"
    return f"{share} {where}\n{confusion(judged, table)}{_mistakes(judged)}"


def _mistakes(judged: Sequence[Judged]) -> str:
    missed = [item for item in judged if not item.right]
    if not missed:
        return ""
    rows = ([item.held.what, f"`{item.held.class_}`", f"`{item.found.class_}`"] for item in missed)
    return f"\nThe others:\n\n{_table(['log', 'class', 'taken for'], rows)}"


def _fuzzing() -> str:
    record = json.loads(CAMPAIGN_FILE.read_text(encoding="utf-8"))
    tools = ", ".join(f"{name} {version}" for name, version in record["tools"].items())
    targets: dict[str, Any] = record["targets"]
    rows = [
        [name, *(f"{entry['inputs'].get(tool, 0):,}" for tool in record["tools"]), str(len(entry["findings_mended"]))]
        for name, entry in targets.items()
    ]
    sums = [sum(entry["inputs"].get(tool, 0) for entry in targets.values()) for tool in record["tools"]]
    mended = sum(len(entry["findings_mended"]) for entry in targets.values())
    rows.append([f"all: {sum(sums):,}", *(f"{total:,}" for total in sums), str(mended)])
    text = FUZZING_TEXT.format(date=record["date"], python=record["python"], tools=tools)
    return f"{text}\n{_table(['parser', *record['tools'], 'mended'], rows)}"


def _soak() -> str:
    record = json.loads(SOAK_FILE.read_text(encoding="utf-8"))
    settled, end, before, after = (record[name] for name in ("after_settling", "at_the_end", *DOCKER))
    rows = [
        ["the orchestrator's memory", *(f"{at['rss_bytes'] / MIB:.1f} MiB" for at in (settled, end))],
        ["its open files", *(str(at["open_files"]) for at in (settled, end))],
        ["its threads", *(str(at["threads"]) for at in (settled, end))],
        *([f"Docker's {kind}", str(before[kind]), str(after[kind])] for kind in ("networks", "volumes")),
        *(
            [f"Docker's disk: {kind}", used["size"], after["disk"][kind]["size"]]
            for kind, used in before["disk"].items()
        ),
    ]
    settled_after, jobs, left = record["settled_after_jobs"], record["jobs"], record["left"]
    text = SOAK_TEXT.format(jobs=jobs, seconds=record["seconds_per_job"], ok=record["ok"], settled=settled_after)
    leftovers = ", ".join(f"{len(found)} {name.replace('_', ' ')}" for name, found in left.items())
    return f"{text}\n{_table(['', 'before', 'after'], rows)}\nLeft at the end: {leftovers}.\n"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    write_atomically(DOCUMENT, render())
