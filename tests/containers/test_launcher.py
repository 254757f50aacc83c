"""Real containers: their output, their limits, and that nothing of them is left."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from pipeline.host.docker.build import BuildOptions
from pipeline.host.docker.engine import Engine, EngineError
from pipeline.host.launchers import Exit
from pipeline.host.launchers import docker as launcher_module
from pipeline.host.launchers.docker import OWNER_LABEL, REFUSED, DockerLauncher
from pipeline.host.limits import STAGES, Limit, Limits
from tests.conftest import REPOSITORY
from tests.containers.shell import IMAGE, VARIANT, ShellLauncher
from tests.containers.support import CATALOG, EnsureImage, MakeLauncher

MIB = 1024**2

Command = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a job's output goes; its folder is the launcher's to make."""
    return tmp_path / "job" / "log.txt"


def test_output_is_whole_and_in_order_in_the_log_and_for_the_watcher(shell: ShellLauncher, log: Path) -> None:
    ended, lines = shell.sh("seq 1 20000", log)
    assert ended == Exit(0)
    assert lines == [str(number) for number in range(1, 20001)]
    assert log.read_text().splitlines() == lines


def test_lines_of_both_streams_stay_whole(shell: ShellLauncher, log: Path) -> None:
    script = "for i in $(seq 500); do printf out; printf err >&2; echo put; echo or >&2; done"
    _, lines = shell.sh(script, log)
    assert sorted(lines) == ["error"] * 500 + ["output"] * 500
    assert sorted(log.read_text().splitlines()) == sorted(lines)


def test_a_last_line_without_an_end_is_kept(shell: ShellLauncher, log: Path) -> None:
    _, lines = shell.sh("printf 'one\\ntwo'", log)
    assert lines == ["one", "two"]
    assert log.read_text() == "one\ntwo\n"


def test_bytes_that_are_no_text_break_nothing(shell: ShellLauncher, log: Path) -> None:
    ended, lines = shell.sh("printf '\\377\\000\\n'", log)
    assert (ended, len(lines)) == (Exit(0), 1)
    assert log.read_bytes() == b"\xff\x00\n"


def test_a_job_that_ends_at_once_loses_no_output(shell: ShellLauncher, log: Path) -> None:
    for _ in range(5):
        assert shell.sh("echo gone", log) == (Exit(0), ["gone"])


def test_lines_are_announced_while_the_job_runs(shell: ShellLauncher, log: Path) -> None:
    times: list[float] = []
    shell.run(IMAGE, VARIANT, ["echo one; sleep 2; echo two"], log, lambda _: times.append(time.perf_counter()))
    assert times[1] - times[0] > 1


def test_the_exit_status_is_the_jobs(shell: ShellLauncher, log: Path) -> None:
    assert shell.sh("exit 3", log)[0] == Exit(3)


def test_a_signal_is_a_negative_status(shell: ShellLauncher, log: Path) -> None:
    assert shell.sh("kill -KILL $$", log)[0] == Exit(-signal.SIGKILL)


def test_a_job_that_takes_too_long_is_ended(shell: ShellLauncher, log: Path) -> None:
    started = time.perf_counter()
    ended, _ = shell.sh("trap 'echo closed; exit 143' TERM; sleep 60 & wait", log, Limits(job_s=1))
    assert (ended.code, ended.timed_out) == (-signal.SIGTERM, True)
    assert time.perf_counter() - started < launcher_module.GRACE_S
    assert log.read_text() == "closed\n"


def test_a_job_that_ignores_sigterm_is_killed(shell: ShellLauncher, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_module, "GRACE_S", 1.0)
    ended, _ = shell.sh("trap '' TERM; sleep 60", log, Limits(job_s=1))
    assert (ended.code, ended.timed_out) == (-signal.SIGKILL, True)


def silent_for(seconds: float) -> Limits:
    return Limits(stages=dict.fromkeys(STAGES, Limit(idle_s=seconds)))


def test_a_silent_job_that_waits_is_ended(shell: ShellLauncher, log: Path) -> None:
    ended, _ = shell.sh("exec sleep 60", log, silent_for(3))
    assert ended.timed_out
    assert ended.message == "stage load gave no sign of life for 3 s (--idle-limit)"


def test_a_silent_job_that_computes_lives_on(shell: ShellLauncher, log: Path) -> None:
    ended, lines = shell.sh("timeout 8 sh -c 'while :; do :; done'; echo done", log, silent_for(3))
    assert (ended, lines) == (Exit(0), ["done"])


def test_what_the_engine_refuses_ends_the_job_with_its_message(
    make_launcher: MakeLauncher, shell: ShellLauncher, log: Path
) -> None:
    no_such_gpu = make_launcher(
        ShellLauncher, results=log.parents[1], overrides={"gpus": ["GPU-00000000-0000-0000-0000-000000000000"]}
    )
    ended = no_such_gpu.run(IMAGE, VARIANT, ["true"], log, lambda _: None)
    assert ended.code == REFUSED
    assert ended.message
    assert log.read_text() == f"Docker: {ended.message}\n"


def test_a_job_that_outgrows_its_memory_says_so(make_launcher: MakeLauncher, shell: ShellLauncher, log: Path) -> None:
    small = make_launcher(ShellLauncher, results=log.parents[1], overrides={"memory_bytes": 64 * MIB})
    ended = small.run(IMAGE, VARIANT, ["exec python3 -c 'bytearray(256 * 2**20)'"], log, lambda _: None)
    assert ended == Exit(-signal.SIGKILL, message="killed for exceeding its memory limit")


@pytest.fixture
def command(shell: ShellLauncher, log: Path) -> Iterator[Command]:
    """Starts a process that runs a script through the launcher, and waits for the script's first line."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        log.parent.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.containers.shell", str(log), script],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    shell.clean()


def containers_of(process: subprocess.Popen[str], client: docker.DockerClient) -> list[str]:
    """Their ids."""
    labelled = client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True)
    return [container.id for container in labelled if f":{process.pid}:" in container.labels[OWNER_LABEL]]


def test_an_interrupt_ends_the_job_and_keeps_its_log(command: Command, client: docker.DockerClient, log: Path) -> None:
    process = command("trap 'echo closed; exit' TERM; echo started; sleep 60 & wait")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0
    assert containers_of(process, client) == []
    assert log.read_text() == "started\nclosed\n"


def test_a_second_interrupt_kills_the_job_at_once(command: Command, client: docker.DockerClient) -> None:
    process = command("trap '' TERM; echo started; sleep 60")
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert containers_of(process, client) != []
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0
    assert containers_of(process, client) == []


def test_what_a_killed_command_left_is_removed_after_its_log_is_saved(
    command: Command, shell: ShellLauncher, client: docker.DockerClient, log: Path
) -> None:
    process = command("echo started; sleep 1; echo later; sleep 60")
    process.kill()
    process.wait()
    time.sleep(1.5)
    assert containers_of(process, client) != []
    shell.clean()
    assert containers_of(process, client) == []
    assert log.read_text() == "started\nlater\n"


def test_the_container_of_a_living_command_stays(
    command: Command, shell: ShellLauncher, client: docker.DockerClient
) -> None:
    process = command("echo started; sleep 60")
    shell.clean()
    assert containers_of(process, client) != []


def test_no_engine_at_an_address_is_said_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineError, match=r"no Docker engine answers at unix:///nowhere.*--launcher process"):
        Engine.connect()


def test_an_engine_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(EngineError, match=r"tcp://192\.0\.2\.1:2375 is not on this machine.*unset DOCKER_HOST"):
        Engine.connect()


def test_an_image_over_another_base_is_not_the_one_asked_for(make_launcher: MakeLauncher, image: EnsureImage) -> None:
    image("reference")
    other = make_launcher(build_options=BuildOptions(bases={"cpu": "another:base"}))
    assert make_launcher().ready(IMAGE, VARIANT)
    assert not other.ready(IMAGE, VARIANT)


def test_a_variant_without_a_base_runs_in_no_container(make_launcher: MakeLauncher) -> None:
    [bare] = [variant for variant in CATALOG.images["reference"].variants if variant.base is None]
    assert make_launcher().why_not(IMAGE, bare) == "runs in no container (its image.yaml names no base)"


def test_a_variant_with_a_base_runs_on_this_engine(make_launcher: MakeLauncher) -> None:
    assert make_launcher().why_not(IMAGE, VARIANT) is None


def test_a_local_image_is_told_by_its_id(make_launcher: MakeLauncher, image: EnsureImage, engine: Engine) -> None:
    found = engine.image(image("reference"))
    launcher: DockerLauncher = make_launcher()
    assert found is not None
    assert launcher.image_digest(IMAGE, VARIANT) == found.digest
