"""What broke a job, read from its log by an ordered table of signatures (config/failures.yaml).

The first entry of the table that matches wins, causes before symptoms. An entry looks for its pattern in single lines,
from the end of the log on, and not everywhere: information, the code that a traceback quotes, documents and prompts
never count, nor does what stands above the word that the work is done. A warning counts only for entries that say so
(`lines`), and only where it explains what ended the job, that is where no cause is found, and the log's last exception
is in the table, too, or there is none. What a log shows and then gets over (`unless_later`) does not count either. An
exception that the table does not know stays `unknown`.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline import codec
from pipeline.analysis.line_patterns import last_match, possible, required_literals
from pipeline.analysis.log_lines import Evidence, is_exception, read_evidence
from pipeline.errors import UsageError
from pipeline.files import open_regular
from pipeline.results import Failure, Phase
from pipeline.yaml_files import read_yaml

FAILURES_FILE = Path(__file__).parent.parent / "config" / "failures.yaml"
UNKNOWN = "unknown"
TAIL_BYTES = 2_000_000
LINE_CHARACTERS = 400
LAST_LINES = 3
LEAST_LITERAL = 3

Group = Literal["start", "build", "prepare", "load", "compile", "generate", "any"]
"""When a failure usually shows: a container is started; packages are installed or built; files are fetched; the engine
and the model are loaded, kernels compiled; documents are worked on; or at any time.
"""

Lines = Literal["errors", "outcomes", "warnings"]
"""Where an entry's message counts: in errors, which are exceptions and lines that call themselves that; in lines
without any mark as well; in errors, and in all lines where a warning may be what broke the job.
"""

# A class that says only "something above me broke": it never wins over a cause.
WRAPPER = "wrapper"

_SUCCESS = re.compile(r"(?:\bexit(?:ed)?(?: with)?(?: status| code)?|\breturn code)[ :=]+\(?0\)?\W*\Z")
# What a program says when its work is done: what stood above that did not break it.
_FINISHED = (
    r"'train_runtime'|\b[Tt]raining (?:is |has )?(?:[Cc]ompleted?|[Ff]inished)\b"
    r"|\b(?:completed|finished) successfully\b"
    r"|\b(?:[Rr]un|[Jj]ob|App|[Pp]ipeline|[Bb]enchmark|[Ee]valuation) (?:is |has )?(?:complete|completed|finished)\b"
)
# Lines that never say why: stack frames and their carets, progress bars, the headings of tracebacks.
_NOISE = re.compile(
    r"^\s*$|^\s+File \"|^\s*[\^~|=\-]+\s*$|^Traceback \(most recent|\d%\|"
    r"|^(?:During handling of|The above exception was)|^\s{4,}"
)
_INHERITED = ("cause", "fix", "group", "retry")


@dataclass(frozen=True)
class Signature:
    """One entry of failures.yaml. What is left out of cause, fix, group and retry is that of the class's first entry.

    pattern: a regular expression that matches within one line; in each of its alternatives LEAST_LITERAL plain
    characters in a row must be sure, which are looked for first. source: where the message was seen.
    example: a line or some, as the program prints them, that find this very entry. retry: worth one automatic retry.
    phase: the entry counts in this phase of a job alone. context: it counts in a log that matches this as well.
    unless_later: nothing counts up to the last line that matches this. symptom: it counts where no cause and no warning
    is found, which may be behind it.
    """

    pattern: str
    class_: str
    cause: str
    fix: str
    source: str
    group: Group = "any"
    example: str = ""
    retry: bool = False
    phase: Phase | None = None
    context: str | None = None
    unless_later: str | None = None
    lines: Lines = "outcomes"
    symptom: bool = False

    def find(self, evidence: Evidence, *, warnings: bool) -> str | None:
        """The last line where the entry counts, None where there is none. warnings: whether those count."""
        if self.lines == "warnings":
            text = evidence.warnings if warnings else evidence.errors
        else:
            text = evidence.errors if self.lines == "errors" else evidence.outcomes
        line = self.search(text)
        return line if line is not None and self.counts_in(evidence.whole) else None

    def counts_in(self, whole: str) -> bool:
        """Whether the log shows the context that the entry asks for."""
        return self.context is None or re.search(self.context, whole) is not None

    def search(self, text: str) -> str | None:
        """The last line that it matches, shortened; None where there is none."""
        found = last_match(self.pattern, text)
        if found is None:
            return None
        start = text.rfind("\n", 0, found) + 1
        end = text.find("\n", found)
        line = text[max(start, found - LINE_CHARACTERS // 2) : end if end >= 0 else len(text)]
        return _shorten(line.strip())


@dataclass(frozen=True)
class Classified:
    """A class with its cause and fix, and the line that shows it; class `unknown` with the last telling lines."""

    class_: str
    cause: str
    fix: str
    retry: bool
    line: str
    group: Group | None = None
    source: str | None = None

    def failure(self, phase: Phase) -> Failure:
        """The same as result.json holds it."""
        return Failure(self.class_, phase, self.line, f"{self.cause}: {self.fix}")


def load_signatures(path: Path = FAILURES_FILE) -> tuple[Signature, ...]:
    """Read the table in its order; a UsageError names the file, the entry and the fault."""
    entries = read_yaml(path).get("failures")
    if not isinstance(entries, list):
        raise UsageError(f"{path}: expected a list under 'failures'")
    first: dict[str, Mapping[str, Any]] = {}
    return tuple(_signature(entry, first, f"{path}: entry {number}") for number, entry in enumerate(entries, start=1))


def read_tail(path: Path) -> str:
    """The end of a log, at most TAIL_BYTES, whatever its size; bytes that are not UTF-8 are replaced.

    An OSError for what is no file, such as a pipe.
    """
    with open_regular(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
        return stream.read(TAIL_BYTES).decode("utf-8", errors="replace")


def classify(
    log: str, table: Sequence[Signature], *, phase: Phase | None = None, exit_status: int | None = None
) -> Classified:
    """The first entry of the table that matches the log's last TAIL_BYTES characters.

    phase: where the job broke, None where it is not known; entries for one phase then don't count.
    exit_status: of the process (negative for a signal, as subprocess gives it), matched as a last line of the log.
    A log that shows nothing but wrappers is `unknown`, as is one that shows nothing at all, and one that ends well.
    """
    if exit_status:
        log += f"\nexit status {128 - exit_status if exit_status < 0 else exit_status}\n"
    evidence = read_evidence(log[-TAIL_BYTES:]).since(_FINISHED)
    patterns = possible([entry.pattern for entry in table], evidence.whole)
    counted = [entry for entry in table if entry.phase in (None, phase) and entry.pattern in patterns]
    if exit_status != 0 and not _SUCCESS.search(evidence.whole.rstrip()[-LINE_CHARACTERS:]):
        found = find_entry(evidence, counted)
        if found is None and "Traceback (most" in log and _last_exception(evidence, counted) is None:
            found = find_entry(read_evidence(log[-TAIL_BYTES:], ascribe=False).since(_FINISHED), counted)
        if found:
            entry, line = found
            return Classified(entry.class_, entry.cause, entry.fix, entry.retry, line, entry.group, entry.source)
    return Classified(
        class_=UNKNOWN,
        cause="no known signature in the log",
        fix="read the log, from its first error on",
        retry=False,
        line="\n".join(_last_lines(evidence.warnings, [entry for entry in table if entry.class_ == WRAPPER])),
    )


def find_entry(evidence: Evidence, table: Sequence[Signature]) -> tuple[Signature, str] | None:
    """The first entry that matches and the line: of the causes, else of the warnings, else of the symptoms."""
    causes = [entry for entry in table if entry.class_ != WRAPPER and not entry.symptom]
    symptoms = [entry for entry in table if entry.class_ != WRAPPER and entry.symptom]
    warnings = _warnings_count(evidence, table)
    found = _first(causes, evidence, warnings=False)
    if found is None and warnings:
        found = _first([entry for entry in causes if entry.lines == "warnings"], evidence, warnings=True)
    return found or _first(symptoms, evidence, warnings=warnings)


def _first(entries: Sequence[Signature], evidence: Evidence, *, warnings: bool) -> tuple[Signature, str] | None:
    for entry in entries:
        line = entry.find(evidence, warnings=warnings)
        if line is not None and entry.unless_later:
            line = entry.find(evidence.since(entry.unless_later), warnings=warnings)
        if line is not None:
            return entry, line
    return None


def _warnings_count(evidence: Evidence, table: Sequence[Signature]) -> bool:
    """Whether a warning may be what broke the job: the last exception that is no wrapper is a known one, or missing."""
    last = _last_exception(evidence, table)
    return last is None or bool(last)


def _last_exception(evidence: Evidence, table: Sequence[Signature]) -> list[str] | None:
    """The classes that the last exception which is no wrapper may be of; None where there is no exception."""
    for line in reversed(evidence.errors.split("\n")):
        if is_exception(line):
            known = [
                entry.class_
                for entry in table
                if last_match(entry.pattern, line) is not None and entry.counts_in(evidence.whole)
            ]
            if WRAPPER not in known:
                return known
    return None


def _match_any(entries: Sequence[Signature], line: str) -> bool:
    return any(last_match(entry.pattern, line) is not None for entry in entries)


def _last_lines(text: str, wrappers: Sequence[Signature]) -> list[str]:
    """The last lines that tell something, oldest first."""
    found: list[str] = []
    for line in reversed(text.split("\n")):
        if _NOISE.search(line) or _match_any(wrappers, line):
            continue
        found.append(_shorten(line.strip()))
        if len(found) == LAST_LINES:
            break
    return found[::-1]


def _shorten(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else line[: LINE_CHARACTERS - 1] + "…"


def _signature(entry: Any, first: dict[str, Mapping[str, Any]], where: str) -> Signature:
    if isinstance(entry, dict) and "class" in entry:
        entry = {**entry, "class_": entry["class"]}
        del entry["class"]
        of_class = first.setdefault(str(entry["class_"]), entry)
        entry = {name: of_class[name] for name in _INHERITED if name in of_class} | entry
    signature = codec.decode(Signature, entry, where)
    for name in ("pattern", "context", "unless_later"):
        try:
            re.compile(getattr(signature, name) or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"{where}: {name} is not a regular expression ({error})") from error
    for pattern in (signature.pattern, signature.unless_later):
        if pattern and any(len(literal) < LEAST_LITERAL for literal in required_literals(pattern)):
            raise UsageError(
                f"{where}: in each alternative of its pattern {LEAST_LITERAL} plain characters in a row must be sure"
            )
    return signature
