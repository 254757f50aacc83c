"""Failures that are provoked on the real part, and the class that each ends in.

No log is written by hand here: a container, the Docker engine or an engine's environment fails, and the class is
what the run's result says.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.host.docker.build import BuildOptions
from pipeline.host.docker.engine import Engine, EngineError
from pipeline.host.outcome import failure_of
from tests.containers.shell import ShellLauncher
from tests.containers.support import MakeLauncher, cannot_run
from tests.faults.provoking import command, failure_of_code, failure_of_job, prepare_and_run, write_wheel
from tests.faults.register import provokes

MIB = 1024**2
NOBODY = 65534


def python(code: str) -> str:
    """A shell script that becomes Python."""
    return f"exec python3 - <<'END'\n{code}\nEND"


IN_CONTAINERS: dict[str, tuple[str, dict[str, Any]]] = {
    "disk_full": (python("open('/tmp/x', 'wb').write(bytes(2**22))"), {"tmp_bytes": MIB}),
    "readonly_path": (python("open('/cache/x', 'w')"), {}),
    "path_permission": (python("open('/etc/shadow')"), {"user": "54321:54321"}),
    "cache_noexec": (
        # /dev/shm is mounted noexec
        "cp $(ldconfig -p | awk '/libz.so/ {print $NF; exit}') /dev/shm/kernel.so; "
        + python("import ctypes; ctypes.CDLL('/dev/shm/kernel.so')"),
        {},
    ),
    "shm_small": (
        python(
            "from multiprocessing import shared_memory\n"
            "block = shared_memory.SharedMemory(create=True, size=2**24)\n"
            "block.buf[:] = bytes(2**24)"
        ),
        {"shm_bytes": MIB},
    ),
    "process_limit": (
        python(
            "import threading, time\n"
            "for _ in range(50): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
        ),
        {"pids": 12},
    ),
    "file_limit": ("ulimit -n 32; " + python("kept = [open('/dev/null') for _ in range(50)]"), {}),
    "uid_no_passwd": (python("import getpass; getpass.getuser()"), {"user": "54321:54321"}),
    "host_oom": (python("bytearray(2**28)"), {"memory_bytes": 64 * MIB}),
    "host_killed": ("kill -KILL $$", {}),
    "crashed": (python("import ctypes; ctypes.string_at(0)"), {}),
    "port_in_use": (
        python("import socket\nfirst = socket.create_server(('', 9000)); socket.create_server(('', 9000))"), {},
    ),
    "system_library_missing": (python("import ctypes; ctypes.CDLL('libGL.so.1')"), {}),
    "platform_mismatch": (
        # the head of a program for 64-bit ARM
        python(
            "import os\n"
            "head = b'\\x7fELF\\2\\1\\1' + bytes(9) + b'\\2\\0\\xb7\\0\\1\\0\\0\\0'\n"
            "open('/tmp/x', 'wb').write(head + bytes(100)); os.chmod('/tmp/x', 0o755); os.execv('/tmp/x', ['x'])"
        ),
        {},
    ),
    "toolkit_missing": ("true", {"gpus": []}),
}  # fmt: skip
"""By class: a job's script, and what its container is given otherwise than usual."""


@pytest.mark.parametrize("wanted", IN_CONTAINERS)
@provokes(*IN_CONTAINERS)
def test_a_job_in_a_container(wanted: str, shell: ShellLauncher, make_launcher: MakeLauncher, tmp_path: Path) -> None:
    script, overrides = IN_CONTAINERS[wanted]
    planned = command("lead-3", tmp_path)
    launcher = make_launcher(ShellLauncher, overrides=overrides, results=planned.arguments.results)
    assert failure_of_job(launcher, planned, [script]).class_ == wanted


@provokes("mount_denied")
def test_a_folder_that_is_gone_can_not_be_mounted(
    shell: ShellLauncher, make_launcher: MakeLauncher, tmp_path: Path
) -> None:
    planned = command("lead-3", tmp_path)
    launcher = make_launcher(ShellLauncher, data=tmp_path / "gone", results=planned.arguments.results)
    assert failure_of_job(launcher, planned, ["true"]).class_ == "mount_denied"


@provokes("daemon_unreachable")
def test_no_docker_engine_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineError) as raised:
        Engine.connect()
    assert failure_of("", "start", str(raised.value)).class_ == "daemon_unreachable"


@provokes("socket_permission")
def test_a_user_whom_the_engines_socket_refuses(engine: Engine) -> None:
    address = engine.address
    if os.getuid() != 0:
        cannot_run("takes root, to be another user")
    code = f"from pipeline.host.docker.engine import Engine; Engine({address!r})"
    refused = _as_nobody(code)
    assert failure_of(refused, "start", refused.splitlines()[-1]).class_ == "socket_permission"


def _as_nobody(code: str) -> str:
    """What code that can't go on says to a user without any group, who may read nothing but what is loaded already."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            exec(code)
        except Exception as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as said:
        return said.read().decode()


@provokes("base_unreachable")
def test_an_image_whose_base_can_not_be_reached(engine: Engine, make_launcher: MakeLauncher, tmp_path: Path) -> None:
    planned = command("lead-3", tmp_path)
    nowhere = make_launcher(build_options=BuildOptions(bases={"cpu": "127.0.0.1:9/no/base:1"}))
    planned = replace(planned, session=replace(planned.session, launcher=nowhere))
    assert prepare_and_run(planned).class_ == "base_unreachable"


IN_ENVIRONMENTS = {
    "torch_cpu_only": ("none", "import torch; torch.zeros(1, device='cuda')", {}),
    "module_missing": ("lead-3", "import transformers", {}),
    "hub_offline_miss": (
        "none", "import huggingface_hub as hub; hub.snapshot_download('org/absent')", {"HF_HUB_OFFLINE": "1"},
    ),
    "spawn_main_guard": (
        "lead-3",
        "import multiprocessing, sys\n"
        "child = multiprocessing.get_context('spawn').Process(target=print); child.start(); child.join()\n"
        "sys.exit(child.exitcode)",
        {},
    ),
}  # fmt: skip
"""By class: an experiment, and code that is run in its image's environment, with variables."""


@pytest.mark.parametrize("wanted", IN_ENVIRONMENTS)
@provokes(*IN_ENVIRONMENTS)
def test_code_in_an_engines_environment(wanted: str, cache: Path, tmp_path: Path) -> None:
    experiment, code, variables = IN_ENVIRONMENTS[wanted]
    assert failure_of_code(code, experiment, tmp_path, cache, **variables).class_ == wanted


@provokes("dependency_conflict")
def test_packages_that_exclude_each_other(cache: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "first", "1.0", "Requires-Dist: shared==1.0")
    write_wheel(wheels, "second", "1.0", "Requires-Dist: shared==2.0")
    for version in ("1.0", "2.0"):
        write_wheel(wheels, "shared", version)
    options = ["install", "--dry-run", "--no-index", "--find-links", str(wheels), "first", "second"]
    assert failure_of_code(_pip(*options), "lead-3", tmp_path, cache).class_ == "dependency_conflict"


@provokes("fa_build_isolation")
def test_a_build_that_imports_torch_in_an_environment_without_it(cache: Path, tmp_path: Path) -> None:
    source = tmp_path / "kernels"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "builds"\nbackend-path = ["."]\n'
    )
    (source / "builds.py").write_text("def get_requires_for_build_wheel(settings=None):\n    import torch\n")
    options = ["wheel", "--no-index", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    assert failure_of_code(_pip(*options), "lead-3", tmp_path, cache).class_ == "fa_build_isolation"


def _pip(*options: str) -> str:
    return f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-m', 'pip', *{options!r}]))"
