"""Jobs in containers, and those who started them, are killed, starved and misled."""

import os
import signal
import time

import docker
import pytest

from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import reference
from tests.containers.conftest import BASE_VARIABLE
from tests.containers.support import EnsureImage, cannot_run, variant_of
from tests.faults.docked import PART, container_of, given, more_experiments, rigged, shell_script, worker_in
from tests.faults.register import fault
from tests.faults.rig import GENERATES_SLOWLY, LOADS_SLOWLY
from tests.faults.scene import LEAD, Command, Scene

MIB = 1024**2
SHORT_WAITS = """
from pipeline.host import arguments, execute
from pipeline.host.launchers import docker as launcher
arguments._seconds = lambda minutes: minutes * 3.0 or None
execute.RETRY_PAUSE_S = 0.1
launcher.GRACE_S = 1.0
"""
"""A prelude under which a limit's minute lasts 3 seconds, a job is given 1 to end, and a retry follows at once."""
NEVER_ENDS = "trap '' TERM; while :; do sleep 1; done"


@pytest.fixture
def docked(scene: Scene, engine: Engine, image: EnsureImage, base: str) -> Scene:
    """The scene with jobs in containers."""
    image("reference")
    scene.launcher, scene.engine = "docker", engine
    scene.environment[BASE_VARIABLE] = base
    return scene


def loading(scene: Scene, *more: str, prelude: str = "") -> Command:
    """A command whose container loads, and goes on to do so for longer than any test."""
    command = scene.start(*LEAD, *more, prelude=prelude + rigged(LOADS_SLOWLY))
    command.until_it_says("lead-3: load")
    return command


@fault("SIGKILL of the orchestrator while its container works", part=PART)
def test_the_orchestrator_is_killed(docked: Scene) -> None:
    command = loading(docked)
    ended = command.kill()
    assert docked.containers(), "the container goes on without its command"
    log = docked.job_folder("lead-3") / "log.txt"
    log.unlink()
    docked.run(*LEAD, "--only-failed")  # there is nothing for it to do but to sweep
    assert docked.containers() == []
    assert '"load"' in log.read_text()
    docked.aftermath(ended)


@fault("SIGINT once while a container works", part=PART)
def test_interrupted_once(docked: Scene) -> None:
    command = loading(docked)
    command.signal(signal.SIGINT)
    ended = command.wait()
    assert ended.code == 130
    docked.aftermath(ended)


@fault("SIGINT twice over a container that does not answer to SIGTERM", part=PART)
def test_interrupted_twice(docked: Scene, client: docker.DockerClient) -> None:
    command = loading(docked)
    _stop_worker(docked, client, command)
    command.signal(signal.SIGINT)
    time.sleep(1)
    assert docked.containers()
    started = time.monotonic()
    command.signal(signal.SIGINT)
    ended = command.wait()
    assert ended.code == 130
    assert time.monotonic() - started < 10, "a second interrupt waits for nothing"
    docked.aftermath(ended)


@fault("a container that hangs, deaf to SIGTERM, over its time limit (exit 137 by us)", part=PART)
def test_a_container_that_hangs(docked: Scene, client: docker.DockerClient) -> None:
    command = loading(docked, "--job-timeout", "1", prelude=SHORT_WAITS)
    _stop_worker(docked, client, command)
    ended = command.wait()
    assert ended.classes == {"lead-3": "timed_out"}
    docked.aftermath(ended)


@fault("the container's first process ignores SIGTERM", part=PART)
def test_the_first_process_ignores_sigterm(docked: Scene) -> None:
    prelude = SHORT_WAITS + shell_script(NEVER_ENDS, init=False)
    ended = docked.run(*LEAD, "--job-timeout", "1", prelude=prelude)
    assert ended.classes == {"lead-3": "timed_out"}
    docked.aftermath(ended)


@fault("docker kill of the job's container (exit 137 by another)", part=PART)
def test_the_container_is_killed(docked: Scene, client: docker.DockerClient) -> None:
    command = loading(docked, prelude=SHORT_WAITS)
    client.containers.get(container_of(docked, command)).kill()
    ended = command.wait()
    assert ended.classes == {"lead-3": "host_killed"}
    docked.aftermath(ended)


@fault("docker rm --force of the job's container", part=PART)
def test_the_container_is_removed(docked: Scene, client: docker.DockerClient) -> None:
    command = loading(docked, prelude=SHORT_WAITS)
    client.containers.get(container_of(docked, command)).remove(force=True)
    ended = command.wait()
    assert ended.result["status"] == "failed"
    docked.aftermath(ended)


@fault("SIGKILL of the engine's process inside the container", part=PART)
def test_the_engines_process_is_killed(docked: Scene, client: docker.DockerClient) -> None:
    command = loading(docked, prelude=SHORT_WAITS)
    _signal_worker(docked, client, command, signal.SIGKILL)
    ended = command.wait()
    assert ended.classes == {"lead-3": "host_killed"}
    docked.aftermath(ended)


@fault("the container's memory limit (exit 137 by the kernel)", part=PART)
def test_memory_runs_out(docked: Scene) -> None:
    prelude = SHORT_WAITS + given(mem_limit=32 * MIB, memswap_limit=32 * MIB)
    ended = docked.run(*LEAD, prelude=prelude)
    assert ended.classes == {"lead-3": "host_oom"}
    docked.aftermath(ended)


@fault("a container that exits at once without a result", part=PART)
def test_an_instant_exit(docked: Scene) -> None:
    ended = docked.run(*LEAD, prelude=shell_script("exit 0"))
    assert ended.result["failure"]["message"] == "ended with status 0 and left no result"
    docked.aftermath(ended)


@fault("a results folder that the container's user may not write to", part=PART)
def test_results_are_another_users(docked: Scene) -> None:
    ended = docked.run(*LEAD, prelude=given(user="54321:54321"))
    assert ended.classes == {"lead-3": "path_permission"}
    docked.aftermath(ended)


@fault("more output than the engine keeps of a container's", part=PART)
def test_a_long_log(docked: Scene) -> None:
    lines = 100_000
    script = f'seq -f "line %.0f of the output" {lines}; exec python "$@"'
    limited = {"Type": "json-file", "Config": {"max-size": "64k", "max-file": "1"}}
    prelude = given(entrypoint=["sh", "-c", script, "sh", "-m", "pipeline"], log_config=limited)
    ended = docked.run(*LEAD, prelude=prelude)
    assert ended.code == 0
    said = (docked.job_folder("lead-3") / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [f"line {number} of the output" for number in range(1, lines + 1)] == said[:lines]
    docked.aftermath(ended)


@fault("a second orchestrator on the same run while a container works", part=PART)
def test_a_second_orchestrator(docked: Scene) -> None:
    command = docked.start(*LEAD, prelude=rigged(GENERATES_SLOWLY))
    command.until_it_says("lead-3: load")
    second = docked.run(*LEAD)
    assert second.code == 1
    assert "is being worked on by another command" in second.stderr
    assert command.wait().code == 0
    docked.aftermath(second)


@fault("another run's orchestrator starts while a container works", part=PART)
def test_another_runs_orchestrator(docked: Scene) -> None:
    """It sweeps what dead commands left, and nothing else."""
    command = docked.start(*LEAD, prelude=rigged(GENERATES_SLOWLY))
    found = container_of(docked, command)
    other = docked.start(*LEAD, run="other")
    other.until_it_says("lead-3: load")
    assert found in docked.containers()
    assert other.wait().code == 0
    ended = command.wait()
    assert ended.code == 0
    docked.aftermath(ended)


@fault("the image is removed between two jobs", part=PART)
def test_the_image_is_removed(docked: Scene, client: docker.DockerClient) -> None:
    more = more_experiments("lead-b")
    command = docked.start(*LEAD, "--experiment", "lead-b", prelude=more + rigged(GENERATES_SLOWLY))
    command.until_it_says("lead-3: generate")
    client.images.remove(reference(*variant_of("reference")), noprune=True)
    ended = command.wait()
    assert ended.classes == {"lead-b": "image_unavailable"}
    docked.aftermath(ended, prelude=more)


def _stop_worker(scene: Scene, client: docker.DockerClient, command: Command) -> None:
    """From now on it does nothing, not even when it is asked to end."""
    _signal_worker(scene, client, command, signal.SIGSTOP)


def _signal_worker(scene: Scene, client: docker.DockerClient, command: Command, number: signal.Signals) -> None:
    worker = worker_in(client.containers.get(container_of(scene, command)))
    try:
        os.kill(worker, number)
    except PermissionError:
        cannot_run("takes root: the container's processes are the engine's")
