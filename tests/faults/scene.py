"""Where a fault strikes: one run's folders with a finished job in them, the commands that work on it, the aftermath.

The commands are the real ones, as processes of their own. What they started, wherever it went, is found by a variable
that they hand down, and in containers by their owner's label.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.files import sha256_file
from pipeline.host.docker.engine import Engine
from pipeline.host.launchers.docker import OWNER_LABEL
from tests.conftest import REPOSITORY

LEAD = ("--experiment", "lead-3", "--docs", "4")
"""The quickest job."""
RUN = "struck"
FINISHED_SEED = 7
"""Of the job that is finished before the fault strikes."""
MARK = "BENCHMARK_FAULT_TEST"
"""A variable that every process started by a scene's commands inherits."""
PATIENCE_S = 120.0
SETTLING_S = 5.0
"""How long processes whose command was killed may take to notice; what is left then is for the next command to end."""


@dataclass(frozen=True)
class Ended:
    """A command that ended. code: negative for a signal."""

    code: int
    stdout: str
    stderr: str

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results that it reported, without the job that was finished before; [] where it didn't come so far."""
        try:
            found = json.loads(self.stdout)["results"]
        except (json.JSONDecodeError, KeyError):
            return []
        return [result for result in found if result["job"]["workload"]["seed"] != FINISHED_SEED]

    @property
    def result(self) -> dict[str, Any]:
        """The one result that it reported."""
        [result] = self.results
        return result

    @property
    def classes(self) -> dict[str, str]:
        """The failures' classes by experiment."""
        return {item["job"]["experiment"]: item["failure"]["class"] for item in self.results if item["failure"]}

    def said(self) -> str:
        """What the command made of the fault, in a few words."""
        if self.code < 0:
            return signal.Signals(-self.code).name
        told = [f"status {self.code}"]
        for result in self.results:
            failure = result["failure"]
            if failure:
                told.append(f"{result['status'].replace('_', ' ')}: {failure['class']} ({failure['phase']})")
        return ", ".join(dict.fromkeys(told))


class Command:
    """A command that runs. Its lines on standard error are kept as they come."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        # a shell in the background, or a service, has its commands ignore Ctrl-C
        self.process = subprocess.Popen(
            ["env", "--default-signal=INT", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._stderr: list[str] = []
        self._stdout: list[str] = []
        self._readers = [
            threading.Thread(target=_keep, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self._stdout), (self.process.stderr, self._stderr))
        ]
        for reader in self._readers:
            reader.start()

    def until_it_says(self, text: str) -> None:
        """Wait for a line on standard error that holds the text."""
        self.until(lambda: any(text in line for line in self._stderr), text)

    def until(self, condition: Callable[[], object], what: str = "condition") -> None:
        """Wait for something while the command runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, f"ended before {what!r}: {self.wait()}"
            assert time.monotonic() < deadline, f"no {what!r} in {PATIENCE_S:.0f} s: {''.join(self._stderr)}"
            time.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        """Send the orchestrator itself a signal, not what it started."""
        self.process.send_signal(number)

    def kill(self) -> Ended:
        """SIGKILL, and what it said until then."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def wait(self) -> Ended:
        """Until it ends."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(SETTLING_S)
        return Ended(code, "".join(self._stdout), "".join(self._stderr))


def _keep(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line)


@dataclass
class Scene:
    """record: takes what the first and the next command said into the table of outcomes.

    environment: variables of all its commands. engine: where containers are looked for; None where there are none.
    """

    data: Path
    cache: Path
    results: Path
    record: Callable[[str, str], None]
    launcher: str = "process"
    environment: dict[str, str] = field(default_factory=dict)
    engine: Engine | None = None
    _arguments: tuple[str, ...] = ()
    _owners: list[str] = field(default_factory=list)
    _commands: list[Command] = field(default_factory=list)
    _before: dict[Path, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run's."""
        return self.results / RUN

    @property
    def mark(self) -> str:
        """What the scene's processes carry."""
        return f"{MARK}={self.results}"

    def job_folder(self, experiment: str) -> Path:
        """Of the job that the fault strikes."""
        finished = {path.parent for path in self._before}
        [folder] = [path for path in self.folder.glob(f"{experiment}.*") if path not in finished]
        return folder

    def documents(self, experiment: str = "lead-3") -> list[dict[str, Any]]:
        """The whole lines in the struck job's documents.jsonl; [] where it isn't there yet."""
        with contextlib.suppress(ValueError, FileNotFoundError):
            *whole, _ = (self.job_folder(experiment) / "documents.jsonl").read_text(encoding="utf-8").split("\n")
            return [json.loads(line) for line in whole]
        return []

    def remember(self) -> None:
        """Take all that is in the run's job folders for finished: it must not change any more."""
        self._before = {
            path: sha256_file(path)
            for path in self.folder.glob("*/*")
            if path.name in ("result.json", "documents.jsonl")
        }
        assert self._before

    def start(self, *arguments: str, prelude: str = "", run: str = RUN, **environment: str) -> Command:
        """Start orchestrator.py on the run. prelude: Python that its process executes first.

        The first command's arguments are those that aftermath() repeats.
        """
        self._arguments = self._arguments or arguments
        code = f"import sys\n{prelude}\nimport orchestrator\nsys.exit(orchestrator.main(sys.argv[1:]))"
        command = Command(
            [
                *([sys.executable, "-c", code] if prelude else [sys.executable, "orchestrator.py"]),
                *("--gpu", "cpu", "--launcher", self.launcher, "--run", run, "--json", "--formats", "md", *arguments),
                *("--data", str(self.data), "--cache", str(self.cache), "--results", str(self.results)),
            ],
            {**os.environ, **self.environment, **environment, MARK: str(self.results)},
        )
        self._commands.append(command)
        self._owners.append(f":{command.pid}:{_started(command.pid)}")
        return command

    def run(self, *arguments: str, prelude: str = "", **environment: str) -> Ended:
        """Run orchestrator.py until it ends."""
        return self.start(*arguments, prelude=prelude, **environment).wait()

    def processes(self) -> dict[int, str]:
        """What the commands started and is still there, themselves included: command lines by process id."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended, or is another user's
                if self.mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def worker(self, command: Command) -> int:
        """The process id of the job that the command waits for."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [
                pid for pid, line in self.processes().items() if "-m pipeline" in line and _parent(pid) == command.pid
            ]
            return bool(found)

        command.until(look, "its worker")
        return found[0]

    def containers(self) -> list[str]:
        """Ids of the commands' containers."""
        if self.engine is None:
            return []
        labels = self.engine.labels_of_containers(OWNER_LABEL)
        return [key for key, value in labels.items() if value[OWNER_LABEL].endswith(tuple(self._owners))]

    def nothing_runs(self, within_s: float = SETTLING_S) -> None:
        """No process and no container of the commands is there, and nobody holds the run."""
        deadline = time.monotonic() + within_s
        while (left := [*self.processes().items(), *self.containers()]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left
        assert not self.held()

    def held(self) -> bool:
        """Whether a command holds the run."""
        path = self.folder / ".lock"
        if not path.exists():
            return False
        with path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def nothing_is_lost(self) -> None:
        """What was finished before is there, byte for byte."""
        assert {path: sha256_file(path) if path.exists() else None for path in self._before} == self._before

    def aftermath(
        self, first: Ended | str, *more: str, swept_by_next: bool = False, prelude: str = "", **environment: str
    ) -> Ended:
        """What must hold after each fault: nothing finished is lost, nothing runs on, the command again completes.

        first: what the struck command ended as, or what to say of it in the table. more: options of the command again.
        swept_by_next: it was killed, and left what only the next command can end.
        """
        self.nothing_is_lost()
        if not swept_by_next:
            self.nothing_runs()
        again = self.run(*self._arguments, *more, prelude=prelude, **environment)
        self.nothing_is_lost()
        self.nothing_runs()
        assert again.code == 0, again
        assert again.results, again
        assert {result["status"] for result in again.results} == {"ok"}, again
        assert {result["failure"] for result in again.results} == {None}
        seeds = {result["job"]["workload"]["seed"] for result in json.loads(again.stdout)["results"]}
        assert FINISHED_SEED in seeds, "the finished job is missing from the report"
        self.record(first if isinstance(first, str) else first.said(), _words(again))
        return again

    def end(self) -> None:
        """Kill whatever a failed test left."""
        for command in self._commands:
            command.process.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for command in self._commands:
            command.wait()


def _words(again: Ended) -> str:
    kept = again.stderr.count(": ok (kept)")
    ran = again.stderr.count(": ok") - kept
    return ", ".join(filter(None, ["status 0", f"{ran} run" if ran else "", f"{kept} kept" if kept else ""]))


def _started(pid: int) -> str:
    """As pipeline.host.owner has it."""
    return _stat(pid)[19]


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(_stat(pid)[1])
    return None


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def small(brief: Path, *more: str) -> tuple[str, ...]:
    """A real engine over a few short documents."""
    return ("--experiment", "gguf-q4", "--dataset", str(brief), "--docs", "2", "--max-new-tokens", "8", *more)


def private_cache(shared: Path, folder: Path) -> Path:
    """A cache of its own with links to the shared one's environments, and without models."""
    for path in sorted((shared / "envs").glob("[!.]*")):
        link = folder / path.relative_to(shared)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return folder
