"""A run's folder: its lock, the commands that made it and the results in it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import read_json, require_writable, write_json
from pipeline.locks import exclusive
from pipeline.machine import os_name
from pipeline.plan import REPOSITORY
from pipeline.results import RESULT_FILE, Result, now_utc, read_result
from pipeline.spec import HostFacts

RUN_FILE = "run.json"
REPORT_FILE = "report.md"


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

    def record(self, command: str, label: str | None) -> None:
        """Note the command in run.json, after those before it; the label of the last command that had one stays."""
        path = self.path / RUN_FILE
        earlier = read_json(path) if path.exists() else {"name": self.name, "label": None, "commands": []}
        commands = [*earlier["commands"], {"command": command, "started_at": now_utc()}]
        write_json(path, {"name": self.name, "label": label or earlier["label"], "commands": commands})

    def label(self) -> str | None:
        """The remark that stands above the report."""
        label: str | None = read_json(self.path / RUN_FILE)["label"]
        return label

    def results_of_all_jobs(self) -> list[Result]:
        """The current result of every job of the run; those that a change of code or settings outdated are left out."""
        current: dict[tuple[object, ...], Result] = {}
        for result in sorted(self._read_all(), key=lambda item: item.finished_at or ""):
            current[_identity(result)] = result
        return list(current.values())

    def _read_all(self) -> Iterator[Result]:
        for path in sorted(self.path.glob(f"*/{RESULT_FILE}")):
            yield read_result(path)


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
