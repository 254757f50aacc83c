"""A run's folder: its lock, the commands that made it and the results in it."""

import difflib
import itertools
import os
import subprocess
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipeline import codec
from pipeline.current import env_of
from pipeline.errors import UsageError
from pipeline.files import read_json, require_writable, write_json
from pipeline.host.wall import Wall
from pipeline.legacy.result import FOLDER_PREFIX, ImportedResult, read_imported
from pipeline.locks import exclusive
from pipeline.machine import os_name
from pipeline.plain import shown
from pipeline.plan import REPOSITORY
from pipeline.redact import redact
from pipeline.results import RESULT_FILE, OtherKind, Result, now_utc, read_result
from pipeline.spec import HostFacts

RUN_FILE = "run.json"

Read = TypeVar("Read")


@dataclass(frozen=True)
class Command:
    """A command that worked on a run, as it was typed. wall: None in one that was killed, or is at work."""

    command: str
    started_at: str
    wall: Wall | None = None


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json."""

    name: str
    label: str | None = None
    commands: tuple[Command, ...] = ()

    @property
    def typed(self) -> tuple[str, ...]:
        """The commands alone, in order."""
        return tuple(entry.command for entry in self.commands)

    @property
    def walls(self) -> tuple[Wall | None, ...]:
        """What each of them took, in the same order."""
        return tuple(entry.wall for entry in self.commands)


@dataclass(frozen=True)
class RunFolder:
    """results/<name>, one a run."""

    results: Path
    name: str

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.results / self.name

    def make(self) -> None:
        """Make the folder; a UsageError if it can't be written to."""
        require_writable(self.path, "the results folder", "choose another with --results")

    def lock(self) -> AbstractContextManager[None]:
        """Held while a command works on the run; a second command is refused at once."""
        return exclusive(
            self.path / ".lock", f"run {self.name!r} is being worked on by another command; wait or use --run"
        )

    def record(self, command: str, label: str | None) -> int:
        """Note the command in run.json, after those before it, and return its number, from 1.

        The label of the last command that had one stays. A damaged run.json is set aside under another name; `noted`
        says before that what is wrong with it.
        """
        earlier = self._read_or_set_aside()
        entry = Command(redact(command), now_utc())
        record = replace(earlier, label=label or earlier.label, commands=(*earlier.commands, entry))
        write_json(self.path / RUN_FILE, codec.encode(record))
        return len(record.commands)

    def note_wall(self, number: int, wall: Wall) -> None:
        """Note in run.json what the command of that number has taken so far; a record that can't be read is left."""
        record, fault = self.noted()
        if fault is None and number <= len(record.commands):
            commands = list(record.commands)
            commands[number - 1] = replace(commands[number - 1], wall=wall)
            write_json(self.path / RUN_FILE, codec.encode(replace(record, commands=tuple(commands))))

    def results_of_all_jobs(self) -> tuple[dict[Path, Result], list[str]]:
        """The current result of every job that was measured, by its folder, and what is wrong with unreadable files.

        Results that a change of code or settings outdated are left out: of two, the one of the later command counts,
        since the time of day may have been set back between them. Two machines' results do not outdate each other, nor
        do those of an environment of their own and of the interpreter at hand. A job that was skipped takes nothing
        from one that came through: another interpreter, say, can't run what this one could.
        """
        found, unreadable = _read_all(self.path.glob(f"*/{RESULT_FILE}"), read_result)
        ordered = sorted(found, key=lambda folder: (found[folder].job.command or 0, found[folder].finished_at or ""))
        current: dict[Path, Result] = {}
        for folder in ordered:
            outdated = [other for other, result in current.items() if _answers_the_same(result, found[folder])]
            if found[folder].status == "skipped" and any(current[other].status == "ok" for other in outdated):
                continue
            for other in outdated:
                del current[other]
            current[folder] = found[folder]
        return current, unreadable

    def imported_results(self) -> tuple[dict[Path, ImportedResult], list[str]]:
        """What was imported into the run from old files, by its folder, and what is wrong with unreadable files."""
        return _read_all(self.path.glob(f"{FOLDER_PREFIX}*/{RESULT_FILE}"), read_imported)

    def _read(self) -> RunRecord:
        path = self.path / RUN_FILE
        return codec.decode(RunRecord, read_json(path), str(path)) if path.exists() else RunRecord(self.name)

    def noted(self) -> tuple[RunRecord, str | None]:
        """What run.json says, and what is wrong with it: a damaged one counts as none and is left as it is."""
        try:
            return self._read(), None
        except UsageError as error:
            return RunRecord(self.name), str(error)

    def _read_or_set_aside(self) -> RunRecord:
        try:
            return self._read()
        except UsageError:
            path = self.path / RUN_FILE
            numbered = (path.with_name(f"{RUN_FILE}.damaged-{number}") for number in itertools.count(1))
            path.rename(next(aside for aside in numbered if not aside.exists()))
            return RunRecord(self.name)


def _read_all(paths: Iterable[Path], read: Callable[[Path], Read]) -> tuple[dict[Path, Read], list[str]]:
    """Results of the kind that `read` reads, by their folders, and what is wrong with files that can't be read."""
    found: dict[Path, Read] = {}
    unreadable: list[str] = []
    for path in sorted(paths):
        try:
            found[path.parent] = read(path)
        except OtherKind:
            continue
        except UsageError as error:
            unreadable.append(str(error))
    return found, unreadable


def open_run(given: str, results: Path) -> RunFolder:
    """The run of that name in the results folder, or the one whose folder that is; a UsageError where there is none."""
    path = results / given if (results / given).is_dir() else Path(given)
    try:
        path = path.resolve()
        there = _is_run(path)
    except (OSError, RuntimeError, ValueError):
        there = False
    if not there:
        runs = sorted(folder.parent.name for folder in results.glob(f"*/{RUN_FILE}"))
        near = difflib.get_close_matches(given, runs, n=3, cutoff=0.5)
        known = f"did you mean {' or '.join(near)}?" if near else f"{results} holds {', '.join(runs) or 'none'}"
        raise UsageError(f"{shown(given)}: no run of that name and no run's folder; {known}")
    return RunFolder(path.parent, path.name)


def open_runs(given: Iterable[str], results: Path) -> list[RunFolder]:
    """Each of these runs once, whichever ways of writing it name it: a run beside itself would pass for launches."""
    return list(dict.fromkeys(open_run(name, results) for name in given))


def _is_run(folder: Path) -> bool:
    """Whether a command left anything there; any other folder would be filled with a report on nothing."""
    return (folder / RUN_FILE).is_file() or any(folder.glob(f"*/{RESULT_FILE}"))


def _answers_the_same(one: Result, other: Result) -> bool:
    """Whether two results are answers to the same question, as far as is known on the same machine."""
    if _question(one) != _question(other):
        return False
    skipped = "skipped" in (one.status, other.status)  # without settings or an environment
    if not skipped and _manner(one) != _manner(other):
        return False
    pairs = ((result.environment.gpu_name, result.environment.cpu) for result in (one, other))
    return all(mine == theirs or None in (mine, theirs) for mine, theirs in zip(*pairs, strict=True))


def _question(result: Result) -> tuple[object, ...]:
    job = result.job
    question = (job.experiment, job.model, job.synthetic, job.scenario, job.gpu, job.launcher, job.launch, job.preset)
    return (*question, job.workload)


def _manner(result: Result) -> tuple[object, ...]:
    """What tells answers to one question apart that both count."""
    return result.settings.batch_size_asked, env_of(result.job.variant)


def host_facts() -> HostFacts:
    """The operating system, and the commit of this checkout where it is one."""
    commit = _git("rev-parse", "HEAD")
    dirty = bool(_git("status", "--porcelain")) if commit else None
    return HostFacts(os=os_name(), git_commit=commit, git_dirty=dirty)


def revision(facts: HostFacts) -> str | None:
    """The commit as an image's label has it; "-dirty" where the checkout differs from it."""
    return f"{facts.git_commit}-dirty" if facts.git_dirty else facts.git_commit


def _git(*arguments: str) -> str | None:
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        answer = subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=False, env=environment
        )
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
