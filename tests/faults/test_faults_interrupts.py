"""The command is asked to end, once or twice, and what its jobs start doesn't want to; or meets another command."""

import shutil
import signal
import time
from pathlib import Path

from pipeline.host.environments import environment_folder
from tests.containers.support import variant_of
from tests.faults.register import fault
from tests.faults.rig import GENERATES_SLOWLY, rig, unrig
from tests.faults.scene import LEAD, RUN, Scene

INTERRUPTED = 130
IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('@progress ["load", 0, 4]', flush=True)
time.sleep(120)
"""
LEAVES_A_GRANDCHILD = """
import subprocess, sys
ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(120)"
grandchild = subprocess.Popen([sys.executable, "-c", ignore], start_new_session=True, stdout=subprocess.PIPE)
grandchild.stdout.readline()  # it ignores the signal from here on
"""


def interrupted(scene: Scene, cache: Path, number: signal.Signals) -> None:
    """What SIGTERM, SIGHUP and SIGINT have in common: the job ends with the command, cleanly."""
    rig(cache, GENERATES_SLOWLY)
    command = scene.start(*LEAD)
    command.until_it_says("lead-3: generate")
    command.signal(number)
    ended = command.wait()
    assert ended.code == INTERRUPTED
    assert "the same command goes on from here" in ended.stderr
    scene.nothing_runs(within_s=0)
    unrig(cache)
    scene.aftermath(ended)


@fault("SIGTERM of the orchestrator while a job generates", part="orchestrator")
def test_terminated(scene: Scene, own_cache: Path) -> None:
    interrupted(scene, own_cache, signal.SIGTERM)


@fault("SIGHUP of the orchestrator while a job generates", part="orchestrator")
def test_hung_up(scene: Scene, own_cache: Path) -> None:
    interrupted(scene, own_cache, signal.SIGHUP)


@fault("SIGINT, once, while a job generates", part="orchestrator")
def test_interrupted_once(scene: Scene, own_cache: Path) -> None:
    interrupted(scene, own_cache, signal.SIGINT)


@fault("SIGINT, twice, while a job runs that ignores SIGTERM", part="orchestrator")
def test_interrupted_twice(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, IGNORES_SIGTERM)
    command = scene.start(*LEAD)
    command.until_it_says("lead-3: load")
    command.signal(signal.SIGINT)
    time.sleep(0.5)
    assert command.process.poll() is None
    insisted = time.monotonic()
    command.signal(signal.SIGINT)
    ended = command.wait()
    assert (ended.code, time.monotonic() - insisted < 5) == (INTERRUPTED, True)
    scene.nothing_runs(within_s=0)
    unrig(own_cache)
    scene.aftermath(ended)


@fault("SIGTERM of the orchestrator while it installs an environment", part="orchestrator")
def test_terminated_while_installing(scene: Scene, own_cache: Path) -> None:
    folder = environment_folder(own_cache, *variant_of("reference"))
    shared = folder.resolve()
    folder.unlink()
    command = scene.start(*LEAD)
    command.until(lambda: any("-m venv" in line for line in scene.processes().values()), "venv")
    command.signal(signal.SIGTERM)
    ended = command.wait()
    assert ended.code == INTERRUPTED
    scene.nothing_runs(within_s=0)
    shutil.rmtree(folder)
    folder.symlink_to(shared)  # another test makes it from its start
    scene.aftermath(ended)


@fault("a job's grandchild leaves its session and ignores SIGTERM", part="process launcher")
def test_a_grandchild_stays(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, LEAVES_A_GRANDCHILD)
    ended = scene.run(*LEAD)
    assert ended.code == 0
    scene.nothing_runs(within_s=0)
    unrig(own_cache)
    scene.aftermath(ended)


@fault(
    "SIGKILL of the orchestrator of a job whose grandchild left its session and ignores SIGTERM",
    part="process launcher",
)
def test_a_grandchild_is_orphaned(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, LEAVES_A_GRANDCHILD + GENERATES_SLOWLY)
    command = scene.start(*LEAD)
    command.until_it_says("lead-3: generate")
    ended = command.kill()
    unrig(own_cache)
    scene.aftermath(ended, swept_by_next=True)


@fault("a second orchestrator on the same run", part="orchestrator")
def test_a_second_on_the_same_run(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, GENERATES_SLOWLY)
    first = scene.start(*LEAD)
    first.until_it_says("lead-3: generate")
    asked = time.monotonic()
    second = scene.run(*LEAD)
    assert (second.code, time.monotonic() - asked < 10) == (1, True)
    assert f"run '{RUN}' is being worked on by another command" in second.stderr
    ended = first.wait()
    assert ended.result["status"] == "ok"
    unrig(own_cache)
    scene.aftermath(f"status {second.code}, refused at once; the first: {ended.said()}")


@fault("a second orchestrator on another run", part="orchestrator")
def test_a_second_on_another_run(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, GENERATES_SLOWLY)
    first = scene.start(*LEAD)
    first.until_it_says("lead-3: generate")
    second = scene.start(*LEAD, run="other").wait()
    assert (second.code, second.result["status"]) == (0, "ok")
    ended = first.wait()
    assert ended.result["status"] == "ok"
    unrig(own_cache)
    scene.aftermath(f"both status {ended.code}")
