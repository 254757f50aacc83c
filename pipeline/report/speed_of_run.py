"""--explain-speed over a run's folder: what lies there, the command without this machine's folders, the document."""

import shlex
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.files import require_writable, write_atomically
from pipeline.host.runs import RunFolder
from pipeline.report.make import read_contents, read_runs
from pipeline.report.speed import SpeedReport
from pipeline.report.speed import explain_speed as explain_speed
from pipeline.report.speed_sections import document
from pipeline.report.speed_sections import holds_for as holds_for
from pipeline.report.speed_sections import sections as sections
from pipeline.report.stored import StoredRun


def read_one(folder: RunFolder) -> tuple[StoredRun, list[str]]:
    """The run, and what of it could not be read."""
    contents, unreadable = read_contents([folder])
    [run], absent = read_runs(contents, folder.path)
    return run, [*(f"left out: {fault}" for fault in unreadable), *absent]


def portable(command: str) -> str:
    """The command with absolute paths as they are reached from here, or by their names where they lie elsewhere."""
    return shlex.join(map(_portable, shlex.split(command)))


def _portable(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    path = Path(value)
    if not path.is_absolute():
        return word
    here = Path.cwd()
    return option + equals + (str(path.relative_to(here)) if path.is_relative_to(here) else path.name)


def require_file(output: Path) -> None:
    """A UsageError where no document can be written to; one that lies there is replaced."""
    if output.is_dir():
        raise UsageError(f"--output {output}: a folder; with --explain-speed it is the file to write, such as speed.md")
    require_writable(output.parent, "the document's folder", "choose another with --output")


def write_document(output: Path, made: SpeedReport) -> None:
    """The whole as Markdown."""
    write_atomically(output, document(made))
