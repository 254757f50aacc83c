"""The orchestrator is killed or interrupted, phase by phase."""

import signal
from pathlib import Path

from tests.faults.register import fault
from tests.faults.scene import Scene

LEAD = ("--experiment", "lead-3", "--docs", "4")


def small(brief: Path, *more: str) -> tuple[str, ...]:
    """A real engine over a few short documents."""
    return ("--experiment", "gguf-q4", "--dataset", str(brief), "--max-new-tokens", "48", "--batch-size", "1", *more)


@fault("SIGKILL of the orchestrator while the job loads", part="process launcher")
def test_killed_while_loading(scene: Scene, brief: Path) -> None:
    command = scene.start(*small(brief))
    command.until_it_says("gguf-q4: load")
    scene.aftermath(command.kill())


@fault("SIGTERM of the orchestrator while the job generates", part="process launcher")
def test_terminated(scene: Scene, brief: Path) -> None:
    command = scene.start(*small(brief))
    command.until_it_says("gguf-q4: generate")
    command.signal(signal.SIGTERM)
    ended = command.wait()
    assert ended.code == 130
    scene.aftermath(ended)
