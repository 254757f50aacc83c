"""A log's lines by what they can prove: errors, lines without any mark, warnings; and what proves nothing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.analysis.line_patterns import last_match

Level = Literal["error", "unmarked", "warning", "none"]
"""none: information, source code that a traceback quotes, documents and prompts; nothing of it is a failure."""

_HEAD_CHARACTERS = 300
_WORDS_OF_A_HEADER = 3
_LEAST_MESSAGE = 3
_LEAST_MARKED = 8

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?)")
# Who wrote the line and when: vLLM's and Ray's processes, ranks, MPI, Slurm, steps of an image's build, Compose's
# services, pods, Kubernetes' and the journal's lines, clocks.
_WRITER = re.compile(
    r"\([^()\n]{0,80}\bpid=\d+[^()\n]{0,40}\)[ \t]?|\[(?:rank)?\d+\]:[ \t]?|\[\d+,\d+\]<std(?:err|out)>:[ \t]?"
    r"|\d{1,4}: (?=\D)"
    r"|#\d+ \d+\.\d+ |[\w.-]{1,60} +\| |\[(?:pod|container)/[^\]\n]{1,120}\][ \t]"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S{1,60} [\w.@/-]{1,60}(?:\[\d+\])?: "
    r"|\[\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: [A-Z]{2,3}\d+)*\][ \t](?!\[)|\[\d\d:\d\d:\d\d\][ \t]"
    r"|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?[ \t](?:std(?:err|out) [FP] )?"
)
_VLLM = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \[?[^\]\n]{1,120}\][ \t]?")
_LEVEL = re.compile(r"(?<![\w=])(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)(?![\w=])")
_MARKED = (
    re.compile(r"(?:\S{1,200}:\d+: )?\w*(W)arning: "),  # Python's warnings
    re.compile(r"\d{4}-\d\d-\d\d [\d:.,]+: ([IWEF]) "),  # TensorFlow
    re.compile(r"\[?([IWEF])(?:\d{3,4} \d\d:\d\d:\d\d| [\w.]+:\d+\])"),  # glog, torch's logs
    re.compile(r"\d+\.\d+\.\d+\.\d+ ([DIWE]) "),  # llama.cpp
    re.compile(r'time="?[^"\s]+"? level="?(\w)'),  # Docker's and NVIDIA's tools
    re.compile(r'\{.{0,200}"(?:level|levelname|severity)": ?"(\w)'),
    re.compile(r"(?:\S{1,40} )?\[(trace|debug|info|note|warn|warning|error|fatal)\]"),
    re.compile(
        r"(?:[^\s:]{1,200}(?:\(\d+\)|:\d+(?::\d+)?): )?(trace|debug|info|note|warning|error|fatal)\b[^:]{0,10}:"
    ),
)
_AFTER_LEVEL = re.compile(r"\A[\]\s:|-]*")
_QUOTED = re.compile(
    r"\W{0,3}(?:prompt|document|article|summary|completion|generated(?: text)?)\W{0,3}[:=]"
    r'|\{.{0,100}"(?:prompt|document|article|summary|text|content)" ?:',
    re.IGNORECASE,
)
_DATA = re.compile(
    r'\s*[{\[,]*\s*"(?:value|input|output|instruction|query|question|answer|response|user|assistant|human|title|body|chosen'
    r'|rejected|context|role|sentence|passage|highlights|abstract)" ?:'
)  # a record of somebody's data
_ADVICE = re.compile(
    r"\b[Ii](?:f|n case) (?:you|it|this|there|that)\b.{0,20}\b(?:see|seeing|get|gets|hit|hits|encounter|meet|experience"
    r"|face|runs? (?:into|out)|fails?|happens)\b|\bto (?:avoid|prevent) (?:an? |the )?(?:\w+ ){0,2}"
    r"(?:out[ -]of[ -]memory|OOM|errors?|crash(?:es|ing)?|failures?|deadlocks?|time-?outs?)\b"
    r"|\b(?:is|are|be) (?:avoided|prevented)\b|\b(?:avoids?|prevents?|avoiding|preventing|guards? against) "
)  # what might go wrong
_RETRY = re.compile(r" thrown while requesting ")  # the hub's, which its logger does not mark
_CODE = re.compile(r"\s*│|(?:-+> ?| {3,})\d+ ")  # boxed tracebacks, and those of notebooks
_EXCEPTION = re.compile(
    r"(?:E +)?(?:[A-Za-z_]\w*\.)*(?:\w*(?:Error|Exception|Exit|Interrupt)|(?<=\.)[A-Z]\w*)(?:: |:?$)"
)
_SURVIVED = re.compile(
    r"\b[Rr]etrying (?:in|after|\d+ of|attempt|with)\b|[.,;:] ?[Rr]etrying\b|\b[Ww]ill (?:be )?retr(?:y|ied)\b"
    r"|\b[Tt]rying again\b|\b[Ff]all(?:ing|s)? back (?:to|on)\b|[.,;] ?(?:[Ss]kipping|[Ii]gnoring|[Ii]gnored)\b"
    r"|\b(?:caught|handled) and\b|\(ignored\)"
)  # what the program goes on after, as it says itself
_TRACEBACK = "Traceback (most recent call last)"
_CAPTURED = re.compile(r"(.{0,200}\bINFO\b.{0,120}?[ :|-] ?)Traceback \(most recent call last\)")
_NAMED = re.compile(r"\w(?:Error|Exception)\b")
_ERROR = re.compile(r"(?:[^:\n]{0,200}: )?(?:error|fatal|Error|Fatal)\b[^:\n]{0,40}:|E: ")
_FRAME = re.compile(r"([ \t]*)File \"")
_CHAIN = re.compile(r"\s*$|\s+|Traceback \(most recent|During handling of|The above exception was")


@dataclass(frozen=True)
class Evidence:
    """A log's lines that prove something, joined; each field holds the one before it.

    whole: the log without colours and writers, information included. lines: the same line by line.
    """

    errors: str
    outcomes: str
    warnings: str
    whole: str
    lines: Sequence[tuple[str, Level]]

    def since(self, pattern: str) -> "Evidence":
        """The same of the lines after the last one that matches; the log itself where none does."""
        last = last_match(pattern, self.whole)
        return self if last is None else _evidence(self.lines[self.whole.count("\n", 0, last) + 1 :])


def read_evidence(log: str, *, ascribe: bool = True) -> Evidence:
    """Sort a log's lines into what they can prove.

    ascribe: whether a traceback right below a warning is taken as what that warning was logged with.
    """
    return _evidence(list(_lines(log, ascribe)))


def _evidence(lines: Sequence[tuple[str, Level]]) -> Evidence:
    return Evidence(
        errors="\n".join(text for text, level in lines if level == "error"),
        outcomes="\n".join(text for text, level in lines if level in ("error", "unmarked")),
        warnings="\n".join(text for text, level in lines if level != "none"),
        whole="\n".join(text for text, _ in lines),
        lines=lines,
    )


def is_exception(line: str) -> bool:
    """Whether this is the line of a traceback that names the exception."""
    return _EXCEPTION.match(line.lstrip()) is not None


def _lines(log: str, ascribe: bool) -> Iterator[tuple[str, Level]]:
    """Each line without what comes before its message, and what it can prove; too short ones are left out."""
    text = _ANSI.sub("", log).replace("\r\n", "\n").replace("\r", "\n")
    frame: int | None = None  # the indentation of the stack frame that we are in
    logged: Level | None = None  # the level of the line that this traceback was logged with, unless an error's
    named = False  # whether that traceback's exception was seen
    message = False  # whether the text of an exception may go on
    previous: Level = "unmarked"
    captured = ""  # what stands before each line of a traceback that a supervisor logs as information
    for raw in text.split("\n"):
        found = _CAPTURED.match(raw) if _TRACEBACK in raw else None
        if found:
            captured = _shape(found[1])
        elif captured and _shape(raw[: len(captured)]) != captured:
            captured = ""
        line, level, marked = _read(raw[len(captured) :])
        stripped = line.lstrip()
        if len(stripped) < _LEAST_MESSAGE:
            message = message and stripped != ""
            continue
        if frame is not None and len(line) - len(stripped) > frame:
            yield line, "none"
            continue
        opened = _FRAME.match(line)
        frame = len(opened[1]) if opened else None
        if marked:
            logged = None
        elif ascribe and logged is None and stripped.startswith("Traceback (most recent") and previous == "warning":
            logged, named = previous, False
        elif logged is not None and not _CHAIN.match(line):
            logged, named = (None, False) if named else (logged, True)
        message = not marked and logged is None and (level == "error" or (message and not opened))
        previous = level if marked else "unmarked"
        yield line, level if marked else logged or ("error" if message else level)


def _shape(header: str) -> str:
    """The same for the headers of one logger, whatever the clock says."""
    return re.sub(r"\d", "0", header)


def _read(raw: str) -> tuple[str, Level, bool]:
    """The message, what it can prove, and whether the line says so itself."""
    if len(raw) < _LEAST_MARKED:
        return raw, "unmarked", False
    start = 0
    while writer := _WRITER.match(raw, start):
        start = writer.end()
    vllm = _VLLM.match(raw, start)
    if vllm:
        text = raw[vllm.end() :]
        return text, _outlived(_LEVELS[vllm[1][0]], text), True
    text = raw[start:]
    head = text.lstrip()[:_HEAD_CHARACTERS]
    if _CODE.match(text) or _QUOTED.match(head) or _DATA.match(head):
        return text, "none", True
    for pattern in _MARKED:
        if found := pattern.match(head):
            return text, _outlived(_LEVELS.get(found[1][0].upper(), "unmarked"), head), True
    found = _LEVEL.search(head)
    if found and _is_header(head[: found.start()]):
        message = _AFTER_LEVEL.sub("", text.lstrip()[found.end() :])
        return message if is_exception(message) else text, _outlived(_LEVELS[found[1][0]], head), True
    if _RETRY.search(head):
        return text, "warning", True
    if _EXCEPTION.match(head) or _ERROR.match(head):
        return text, "error", False
    if _ADVICE.search(head) and not _NAMED.search(head):
        return text, "none", False
    return text, _outlived("unmarked", head), False


def _outlived(level: Level, message: str) -> Level:
    """The level, lowered to a warning where the message says that the program goes on."""
    return "warning" if level in ("error", "unmarked") and _SURVIVED.search(message) else level


_LEVELS: dict[str, Level] = {
    **dict.fromkeys("TDIN", "none"),
    "W": "warning",
    **dict.fromkeys("ECF", "error"),
}
"""By the first letter of a level's name."""


def _is_header(head: str) -> bool:
    """Whether this is a clock, a program's name and the like, and no sentence. NCCL's WARN is no mere warning."""
    if "Error" in head or "Exception" in head or head.endswith("NCCL "):
        return False
    return sum(word.isalpha() for word in head.split()) <= _WORDS_OF_A_HEADER
