"""The worker or its engine dies, hangs or takes too long."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.register import fault
from tests.faults.rig import GENERATES_SLOWLY, LOADS_SLOWLY, rig, unrig
from tests.faults.scene import LEAD, Ended, Scene, small

MINUTES_ARE_SECONDS = "from pipeline.host import arguments; arguments.SECONDS_PER_MINUTE = 1"
PAUSES_ARE_SHORT = "from pipeline.host import execute; execute.RETRY_PAUSE_S = 0.1"

ENGINE_IN_A_PROCESS = """
import os
from pipeline.worker import entrypoint
def enter(*arguments, before=entrypoint.enter, **named):
    before(*arguments, **named)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"  # the image has vLLM run in the worker's own process
entrypoint.enter = enter
"""
BUSY_BUT_SILENT = """
import time
until = time.monotonic() + 5
while time.monotonic() < until:
    pass
"""
FAILS_ONCE = """
import sys
from pathlib import Path
before = Path(__file__).with_name("before")
if not before.exists():
    before.touch()
    sys.exit("429 Client Error: Too Many Requests for url: https://example.invalid/")
"""


def struck(scene: Scene, prelude: str, *arguments: str, orchestrator: str = "") -> Ended:
    """A job over an environment that runs the prelude, until its command ends; afterwards the environment is whole."""
    rig(scene.cache, prelude)
    ended = scene.run(*LEAD, *arguments, prelude=orchestrator)
    unrig(scene.cache)
    return ended


def failure(ended: Ended) -> tuple[str, str, str]:
    """Status, class and phase of the one result."""
    assert ended.code == 1, ended
    return ended.result["status"], ended.result["failure"]["class"], ended.result["failure"]["phase"]


@fault("SIGKILL of the worker while it loads", part="worker")
def test_killed_while_loading(scene: Scene, own_cache: Path) -> None:
    rig(own_cache, LOADS_SLOWLY)
    command = scene.start(*LEAD)
    command.until_it_says("lead-3: load")
    os.kill(scene.worker(command), signal.SIGKILL)
    ended = command.wait()
    assert failure(ended) == ("failed", "host_killed", "load")
    unrig(own_cache)
    scene.aftermath(ended)


@fault("SIGKILL of the worker while its engine generates", part="worker")
def test_killed_while_generating(scene: Scene, brief: Path) -> None:
    command = scene.start(*small(brief, "--max-new-tokens", "32"))
    command.until_it_says("gguf-q4: generate")
    os.kill(scene.worker(command), signal.SIGKILL)
    ended = command.wait()
    assert failure(ended) == ("failed", "host_killed", "generate")
    scene.nothing_runs(within_s=0)
    scene.aftermath(ended)


@fault("SIGKILL of the engine process that vLLM starts, while it generates", part="worker")
def test_vllms_engine_is_killed(scene: Scene, own_weights: Callable[[str], Path], brief: Path) -> None:
    """vLLM then waits for ever for its next step; only the limit on silence ends the job."""
    own_weights("gguf")
    own_weights("hf")
    rig(scene.cache, ENGINE_IN_A_PROCESS, "vllm")
    workload = ("--dataset", str(brief), "--docs", "1", "--max-new-tokens", "200")
    limits = ("--time-limit", "0", "--idle-limit", "0", "--idle-limit", "generate=8")
    command = scene.start("--experiment", "vllm", *workload, *limits, prelude=MINUTES_ARE_SECONDS)
    command.until_it_says("vllm: generate")
    [engine] = [pid for pid, line in scene.processes().items() if "EngineCore" in line]
    os.kill(engine, signal.SIGKILL)
    ended = command.wait()
    assert failure(ended) == ("timed_out", "timed_out", "generate")
    scene.nothing_runs(within_s=0)
    unrig(scene.cache, "vllm")
    scene.aftermath(ended)


@fault("the worker exits with status 0 at once and leaves no result", part="worker")
def test_it_exits_at_once(scene: Scene, own_cache: Path) -> None:
    ended = struck(scene, "raise SystemExit(0)")
    assert failure(ended)[::2] == ("failed", "start")
    scene.aftermath(ended)


@fault("the worker exits with status 1 at once", part="worker")
def test_it_fails_at_once(scene: Scene, own_cache: Path) -> None:
    ended = struck(scene, "raise SystemExit(1)")
    assert failure(ended)[::2] == ("failed", "start")
    assert ended.result["failure"]["message"] == "ended with status 1 and left no result"
    scene.aftermath(ended)


@fault("a segmentation fault in the worker", part="worker")
def test_a_segmentation_fault(scene: Scene, own_cache: Path) -> None:
    ended = struck(scene, "import ctypes; ctypes.string_at(0)")
    assert failure(ended)[::2] == ("failed", "start")
    assert ended.result["failure"]["message"] == "killed by SIGSEGV"
    scene.aftermath(ended)


@fault("the job takes longer than --job-timeout", part="worker")
def test_over_the_jobs_limit(scene: Scene, own_cache: Path) -> None:
    ended = struck(scene, GENERATES_SLOWLY, "--job-timeout", "1", orchestrator=MINUTES_ARE_SECONDS)
    assert failure(ended)[:2] == ("timed_out", "timed_out")
    assert "--job-timeout" in ended.result["failure"]["message"]
    scene.aftermath(ended)


@fault("a stage takes longer than --time-limit", part="worker")
def test_over_a_stages_limit(scene: Scene, own_cache: Path) -> None:
    ended = struck(scene, GENERATES_SLOWLY, "--time-limit", "generate=1", orchestrator=MINUTES_ARE_SECONDS)
    assert failure(ended) == ("timed_out", "timed_out", "generate")
    assert "stage generate took longer than its limit of 1 s (--time-limit)" in ended.result["failure"]["message"]
    scene.aftermath(ended)


@fault("a worker that hangs gives no sign of life for --idle-limit", part="worker")
def test_a_hung_worker(scene: Scene, own_cache: Path) -> None:
    """SIGSTOP also keeps it from ending when it is asked to."""
    rig(own_cache, GENERATES_SLOWLY)
    short = f"{MINUTES_ARE_SECONDS}; from pipeline.host.launchers import process; process.GRACE_S = 1"
    command = scene.start(*LEAD, "--idle-limit", "2", prelude=short)
    command.until(scene.documents, "a document")
    os.kill(scene.worker(command), signal.SIGSTOP)
    ended = command.wait()
    assert failure(ended) == ("timed_out", "timed_out", "generate")
    assert "--idle-limit" in ended.result["failure"]["message"]
    scene.nothing_runs(within_s=0)
    unrig(own_cache)
    scene.aftermath(ended)


@fault("a worker is silent for longer than --idle-limit, and busy", part="worker")
def test_a_silent_worker_that_is_busy(scene: Scene, own_cache: Path) -> None:
    started = time.monotonic()
    ended = struck(scene, BUSY_BUT_SILENT, "--idle-limit", "2", orchestrator=MINUTES_ARE_SECONDS)
    assert (ended.code, time.monotonic() - started > 5) == (0, True)
    scene.aftermath(ended)


@fault("the first attempt at a job fails in a way that may pass", part="worker")
def test_what_may_pass_is_tried_again(scene: Scene, own_cache: Path) -> None:
    ended = struck(scene, FAILS_ONCE, orchestrator=PAUSES_ARE_SHORT)
    assert (ended.code, ended.result["status"], ended.result["attempts"]) == (0, "ok", 2)
    folder = scene.job_folder("lead-3")
    assert "429 Client Error" in (folder / "log-1.txt").read_text(encoding="utf-8")
    assert "429" not in (folder / "log.txt").read_text(encoding="utf-8")
    scene.aftermath(f"{ended.said()}, at the second attempt")
