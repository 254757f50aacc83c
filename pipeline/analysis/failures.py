"""What broke a job, read from its log by an ordered table of signatures (config/failures.yaml)."""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.results import Failure, Phase

FAILURES_FILE = Path(__file__).parent.parent / "config" / "failures.yaml"
UNKNOWN = "unknown"
TAIL_BYTES = 2_000_000
LINE_CHARACTERS = 400
LAST_LINES = 3

# A class that says only "something above me broke": it never wins over a cause.
_WRAPPER = "wrapper"

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_PREFIX = re.compile(
    r"^(?:\([^()\n]{1,80} pid=\d+\)[ \t]?)?"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \[[^\]\n]{1,120}\][ \t]?)?"
)
# Lines that never say why: stack frames and their carets, progress bars, the headings of tracebacks.
_NOISE = re.compile(
    r"^\s*$|^\s+File \"|^\s*[\^~|=\-]+\s*$|^Traceback \(most recent|\d+%\|"
    r"|^(?:During handling of|The above exception was)|^\s{4,}"
)


@dataclass(frozen=True)
class Signature:
    """One entry of failures.yaml.

    pattern: a regular expression over the log without colours and engines' prefixes; ^ and $ match at lines.
    phase: the entry counts in this phase of a job alone. retry: worth one automatic retry.
    source: where the message was seen.
    """

    pattern: str
    class_: str
    cause: str
    fix: str
    source: str
    retry: bool = False
    phase: Phase | None = None

    def search(self, text: str) -> str | None:
        """The last line where it matches (nearest to the end of the job), shortened; None where it does not."""
        found = deque(re.finditer(self.pattern, text, re.MULTILINE), maxlen=1)
        if not found:
            return None
        last = found.pop()
        start = text.rfind("\n", 0, last.start()) + 1
        end = text.find("\n", last.start())
        line = text[max(start, last.start() - LINE_CHARACTERS // 2) : end if end >= 0 else len(text)]
        return _shorten(line.strip())


@dataclass(frozen=True)
class Classified:
    """A class with its cause and fix, and the line that shows it; class `unknown` with the last telling lines."""

    class_: str
    cause: str
    fix: str
    retry: bool
    line: str

    def failure(self, phase: Phase) -> Failure:
        """The same as result.json holds it."""
        return Failure(self.class_, phase, self.line, f"{self.cause}: {self.fix}")


def load_signatures(path: Path = FAILURES_FILE) -> tuple[Signature, ...]:
    """Read the table in its order; a UsageError names the file, the entry and the fault."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["failures"]
        if not isinstance(entries, list):
            raise TypeError("failures is not a list")
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: expected a list under 'failures' ({error})") from error
    return tuple(_signature(entry, f"{path}: entry {number}") for number, entry in enumerate(entries, start=1))


def read_tail(path: Path) -> str:
    """The end of a log, at most TAIL_BYTES, whatever its size; bytes that are not UTF-8 are replaced."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return stream.read().decode("utf-8", errors="replace")


def classify(
    log: str, table: Sequence[Signature], *, phase: Phase | None = None, exit_status: int | None = None
) -> Classified:
    """The first entry of the table that matches the log's last TAIL_BYTES characters.

    phase: where the job broke, None where it is not known; entries for one phase then don't count.
    exit_status: of the process (negative for a signal, as subprocess gives it), matched as a last line of the log.
    A log that shows nothing but wrappers is `unknown`, as is one that shows nothing at all.
    """
    text = clean(log[-TAIL_BYTES:])
    if exit_status:
        text += f"\nexit status {128 - exit_status if exit_status < 0 else exit_status}\n"
    wrappers = [entry for entry in table if entry.class_ == _WRAPPER]
    for entry in table:
        if entry.class_ == _WRAPPER or entry.phase not in (None, phase):
            continue
        if line := entry.search(text):
            return Classified(entry.class_, entry.cause, entry.fix, entry.retry, line)
    return Classified(
        class_=UNKNOWN,
        cause="no known signature in the log",
        fix="read the log, from its first error on",
        retry=False,
        line="\n".join(_last_lines(text, wrappers)),
    )


def clean(log: str) -> str:
    """A log without colours, progress bars' overwritten states, engines' prefixes and their INFO and DEBUG lines."""
    text = _ANSI.sub("", log).replace("\r\n", "\n").replace("\r", "\n")
    lines = []
    for line in text.split("\n"):
        prefix = _PREFIX.match(line)
        if prefix is None or prefix["level"] in ("INFO", "DEBUG"):
            continue
        lines.append(line[prefix.end() :])
    return "\n".join(lines)


def _last_lines(text: str, wrappers: Sequence[Signature]) -> list[str]:
    """The last lines that tell something, oldest first."""
    found: list[str] = []
    for line in reversed(text.split("\n")):
        if _NOISE.search(line) or any(re.search(wrapper.pattern, line) for wrapper in wrappers):
            continue
        found.append(_shorten(line.strip()))
        if len(found) == LAST_LINES:
            break
    return found[::-1]


def _shorten(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else line[: LINE_CHARACTERS - 1] + "…"


def _signature(entry: Any, where: str) -> Signature:
    if isinstance(entry, dict) and "class" in entry:
        entry = {**entry, "class_": entry["class"]}
        del entry["class"]
    signature = codec.decode(Signature, entry, where)
    try:
        re.compile(signature.pattern)
    except re.error as error:
        raise UsageError(f"{where}: pattern is not a regular expression ({error})") from error
    return signature
