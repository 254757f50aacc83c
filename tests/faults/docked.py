"""Scenes whose jobs run in containers: what a test does to those, and an engine of its own to stop and start."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.host.docker.engine import Engine, EngineError
from tests.containers.support import cannot_run
from tests.faults.rig import RUN_WORKER
from tests.faults.scene import Command, Scene

PART = "docker launcher"


def given(**settings: Any) -> str:
    """A prelude of a command whose containers get other settings, as the SDK names them, than the launcher's."""
    return f"""
from pipeline.host.docker import engine
usual = engine.settings
engine.settings = lambda spec: usual(spec) | {settings!r}
"""


def rigged(script: str, **settings: Any) -> str:
    """A prelude of a command whose containers execute a script before the real worker."""
    return given(entrypoint=["python", "-c", script + RUN_WORKER, "-m", "pipeline"], **settings)


def shell_script(script: str, **settings: Any) -> str:
    """A prelude of a command in whose containers a shell script takes the worker's place, with its arguments."""
    return given(entrypoint=["sh", "-c", script, "sh"], **settings)


def container_of(scene: Scene, command: Command) -> str:
    """The id of the container that the command has started."""
    command.until(scene.containers, "its container")
    [found] = scene.containers()
    return found


def worker_in(container: Any) -> int:
    """The process id on this machine of what a container's init has started (a container of the SDK)."""
    container.reload()
    init = container.attrs["State"]["Pid"]
    [worker] = [int(pid) for pid in Path(f"/proc/{init}/task/{init}/children").read_text(encoding="ascii").split()]
    return worker


@dataclass
class OwnEngine:
    """A Docker engine beside the machine's, with its files in `folder`; it starts containers without a network."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        """Where it answers while it runs."""
        return f"unix://{self.folder / 'docker.sock'}"

    @property
    def environment(self) -> Mapping[str, str]:
        """A command's variables with which it takes this engine."""
        return {"DOCKER_HOST": self.address}

    def start(self) -> Engine:
        """Start it, and wait until it answers."""
        program = shutil.which("dockerd")
        if program is None or os.getuid() != 0:
            cannot_run("an engine of one's own takes dockerd, and root")
        files = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        options = [f"--{option}={self.folder / name}" for option, name in files.items()]
        alone = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=overlay2"]
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *options, *alone, "--host", self.address], stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while True:
            with suppress(EngineError):
                return Engine(self.address)
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "log.txt").read_text()
            time.sleep(0.1)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it. Asked to (SIGTERM), it ends its containers first; killed, it does so when it starts again."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None
            self._end_containerd()

    def _end_containerd(self) -> None:
        """The engine's own, which a killed one leaves, and finds by a number that may be a dead process's."""
        number = self.folder / "exec" / "containerd" / "containerd.pid"
        if number.exists():
            with suppress(ProcessLookupError):
                os.kill(int(number.read_text(encoding="ascii")), signal.SIGKILL)
            number.unlink()

    def remove(self) -> None:
        """Kill it, and leave nothing of it, not what it has mounted either."""
        self.stop(signal.SIGKILL)
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
        for path in reversed([path for path in mounted if path.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", path], check=True)
        shutil.rmtree(self.folder)

    def load(self, image: str, client: str) -> None:
        """Copy an image from the engine at the address `client`."""
        with subprocess.Popen(["docker", "--host", client, "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.address, "load"], stdin=saved.stdout, check=True, capture_output=True
            )


def more_experiments(*names: str) -> str:
    """A prelude of a command that knows lead-3 under further names."""
    return f"""
from dataclasses import replace
from pipeline import catalog
usual_catalog = catalog.load_catalog
def load_catalog():
    found = usual_catalog()
    more = {{name: replace(found.experiments["lead-3"], name=name) for name in {names!r}}}
    return replace(found, experiments={{**found.experiments, **more}})
catalog.load_catalog = load_catalog
"""
