"""A run's folder: its lock, the commands that made it and the results in it."""

import itertools
import os
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.files import read_json, require_writable, write_json
from pipeline.locks import exclusive
from pipeline.machine import os_name
from pipeline.plan import REPOSITORY
from pipeline.redact import redact
from pipeline.results import RESULT_FILE, Result, now_utc, read_result
from pipeline.spec import HostFacts

RUN_FILE = "run.json"
REPORT_FILE = "report.md"


@dataclass(frozen=True)
class Command:
    """A command that worked on a run, as it was typed."""

    command: str
    started_at: str


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json."""

    name: str
    label: str | None = None
    commands: tuple[Command, ...] = ()


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

        The label of the last command that had one stays. A damaged run.json is set aside under another name.
        """
        earlier = self._read()
        entry = Command(redact(command), now_utc())
        record = replace(earlier, label=label or earlier.label, commands=(*earlier.commands, entry))
        write_json(self.path / RUN_FILE, codec.encode(record))
        return len(record.commands)

    def label(self) -> str | None:
        """The remark that stands above the report."""
        return self._read().label

    def results_of_all_jobs(self) -> tuple[list[Result], list[str]]:
        """The current result of every job of the run, and what is wrong with files that can't be read.

        Results that a change of code or settings outdated are left out: of two, the one of the later command counts,
        since the time of day may have been set back between them.
        """
        results: list[Result] = []
        unreadable: list[str] = []
        for path in sorted(self.path.glob(f"*/{RESULT_FILE}")):
            try:
                results.append(read_result(path))
            except UsageError as error:
                unreadable.append(str(error))
        current: dict[tuple[object, ...], Result] = {}
        for result in sorted(results, key=lambda item: (item.job.command or 0, item.finished_at or "")):
            current[_identity(result)] = result
        return list(current.values()), unreadable

    def _read(self) -> "RunRecord":
        path = self.path / RUN_FILE
        if not path.exists():
            return RunRecord(self.name)
        try:
            return codec.decode(RunRecord, read_json(path), str(path))
        except UsageError:
            for number in itertools.count(1):
                aside = path.with_name(f"{RUN_FILE}.damaged-{number}")
                if not aside.exists():
                    path.rename(aside)
                    break
            return RunRecord(self.name)


def _identity(result: Result) -> tuple[object, ...]:
    """What makes two results two answers to the same question, of which the later one counts."""
    job = result.job
    question = (job.experiment, job.model, job.scenario, job.gpu, job.launcher, job.launch)
    return (*question, job.workload, result.settings.batch_size_asked)


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
