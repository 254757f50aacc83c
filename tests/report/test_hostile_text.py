"""Text from documents, models, logs and machines does nothing to a terminal, to report.md or to whoever reads them."""

import html.parser
import io
import json
import re
import unicodedata
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline.commands.output import print_json
from pipeline.documents import Document
from pipeline.entries import Prompt
from pipeline.figures import one_line, printable
from pipeline.host.watcher import Queued
from pipeline.measures import DocumentResult
from pipeline.report import csv_file, markdown, markup, terminal
from pipeline.report.model import Report
from pipeline.report.watch import LineWatcher
from pipeline.results import Failure, Result
from pipeline.worker.terminal import render as render_alone
from tests.builders import make_report, make_result, make_workload, stored

HOSTILE = [
    "\x1b[2J\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cGFzc3dvcmQ=\x07",
    "\x1bP1$r0m\x1b\\",
    "\x9b2J\x9d0;title\x9c",
    "\r\x08\x08overwritten\x7f\x00",
    "first\nsecond\u2028third\x85fourth\x0b\x0c",
    "a | b || c",
    "`code` ``` ~~~",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</details><!-- & &lt;",
    "[click](https://example.org) ![x](https://example.org/x.png) [a]: https://example.org",
    "[red]markup[/red] [link=https://example.org]x[/link] [/]",
    "\u202egnp.exe\u2066\u200f\U000e0041",
    "# heading",
    "- item",
    "1. item",
    "\ud800half",
    "**bold** __bold__ ~~struck~~ $x$",
]
ALL = " ".join(HOSTILE)
KEPT = ("red", "link", "overwritten", "second", "fourth", "alert(1)", "markup", "half", "struck", "gnp.exe")


def hostile_results(text: str) -> list[Result]:
    """Results with the text wherever the outside has a say. The names are held to their rules when they are read."""
    everywhere = {
        "dtype": text,
        "quantization": text,
        "attention": text,
        "gpu_name": text,
        "driver_version": text,
        "cpu": text,
        "host_os": text,
        "image_digest": text,
        "packages": {text: text},
        "optimization": text,
        "warnings": (text,),
    }
    work = make_workload(prompt=Prompt("published-hf", text))
    done = make_result("none", workload=work, **everywhere)
    failed = make_result("vllm", status="failed", workload=work)
    failed = replace(failed, failure=Failure(text, "load", text, text))
    return [done, failed, replace(make_result("gguf-q4", status="skipped", workload=work), failure=failed.failure)]


def hostile_report(text: str) -> Report:
    """The text also in the run's name, label and command, the documents and what was made of them."""
    done, *others = hostile_results(text)
    outputs = [DocumentResult(id=text, text=text, finish_reason="stop", rouge1_f1=0.2)]
    texts = {done.job.workload.documents_sha256: {text: Document(text, text, text)}}
    jobs = [stored(done, outputs), *map(stored, others)]
    command = f"python orchestrator.py --label '{text}'"
    return replace(make_report(jobs, texts=texts, name=text, label=text, commands=(command,)), created=text)


def report(text: str) -> str:
    return markdown.render(hostile_report(text))


def shown(text: str) -> str:
    stream = io.StringIO()
    terminal.render(hostile_report(text), Console(file=stream, width=200))
    return stream.getvalue()


def table(text: str) -> str:
    return csv_file.render(hostile_report(text)).replace("\r\n", "\n")


def watched(text: str) -> str:
    stream = io.StringIO()
    watcher = LineWatcher(stream)
    watcher.note(text)
    watcher.preparing(text)
    watcher.trouble(text)
    results = hostile_results(text)
    with watcher.running([Queued(result.job.experiment) for result in results]):
        for number, result in enumerate(results, start=1):
            watcher.finished(number, result, kept=False)
    return stream.getvalue()


def alone(text: str) -> str:
    return "\n".join(render_alone(result) for result in hostile_results(text))


def unprintable(text: str) -> set[str]:
    """What is left of characters that control a terminal, turn text around or can't be written as UTF-8."""
    return {repr(character) for character in text if character != "\n" and unicodedata.category(character) in BAD}


BAD = ("Cc", "Cs", "Cf", "Zl", "Zp")
RENDERERS = {
    "report.md": report,
    "report.csv": table,
    "terminal": shown,
    "progress": watched,
    "alone": alone,
    "printable": printable,
}


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("text", [*HOSTILE, ALL])
def test_nothing_that_people_see_holds_a_control_character(name: str, text: str) -> None:
    made = RENDERERS[name](text)
    assert unprintable(made) == set()
    made.encode()


@pytest.mark.parametrize("render", [report, table, shown, alone])
def test_what_was_said_can_still_be_read(render: object) -> None:
    assert callable(render)
    plain = re.sub(r"[\s\\│…]+", "", render(ALL)[:200_000])
    assert [word for word in KEPT if word not in plain and word not in plain.replace("&lt;", "<")] == []


class Tags(html.parser.HTMLParser):
    """The tags that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_comment(self, data: str) -> None:
        self.seen.add("comment")


@pytest.mark.parametrize("text", [*HOSTILE, ALL])
def test_the_report_has_no_html_but_its_own(text: str) -> None:
    parser = Tags()
    parser.feed(without_code(report(text)))
    assert parser.seen <= {"details", "summary"}


@pytest.mark.parametrize("text", [*HOSTILE, ALL])
def test_the_report_has_no_link_image_or_heading_of_anybody_elses(text: str) -> None:
    made = without_code(report(text))
    assert re.findall(r"(?<!\\)[!]?\[[^\]\n]*\]\(", made) == []
    assert re.findall(r"(?m)^\[[^\]]*\]:", made) == []
    headings = {line.split(":")[0] for line in made.splitlines() if line.startswith("#")}
    own = {"## offline on cpu", "### Failed", "### Skipped", "### Quality and lengths", "### Time"}
    own |= {"### Memory and settings"}
    assert {heading for heading in headings if not heading.startswith("# Benchmark run")} <= own | {
        "## Where the time went", "## How to read this", "## What was run", "## Run it again",
    }  # fmt: skip


@pytest.mark.parametrize("text", [*HOSTILE, ALL])
def test_no_cell_breaks_a_table(text: str) -> None:
    rows = [line for line in without_code(report(text)).splitlines() if line.startswith("|")]
    blocks = {len(re.split(r"(?<!\\)\|", row)) for row in rows if row.split("|")[1].strip(" *") == "none"}
    headers = {len(re.split(r"(?<!\\)\|", row)) for row in rows if row.split("|")[1].strip() == "experiment"}
    assert blocks == headers
    assert all(row.rstrip().endswith("|") for row in rows)


def test_markup_of_the_terminals_library_is_shown_and_not_obeyed() -> None:
    assert "[red]markup[/red]" in shown("[red]markup[/red]")


def test_a_code_block_ends_where_the_report_ends_it() -> None:
    assert markup.fenced("```\n# out") == "````text\n```\n# out\n````"


def test_text_for_other_programs_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": ALL})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed)["text"] == ALL


def test_words_in_any_script_are_left_as_they_are() -> None:
    text = "Zusammenfassung für Ελένη: 要約, ملخص, תקציר, 👍🏽 – 4×"
    assert (one_line(text), printable(f"{text}\n\tx")) == (text, f"{text}\n\tx")


def without_code(text: str) -> str:
    """Markdown without its code blocks, in which nothing is markup."""
    return re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
