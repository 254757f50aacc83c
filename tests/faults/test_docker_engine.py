"""The Docker engine goes away under a run. It is one of the tests' own, beside the machine's."""

import signal
from collections.abc import Iterator

import pytest

from pipeline.host.docker.engine import Engine
from tests.containers.conftest import BASE_VARIABLE
from tests.containers.support import EnsureImage
from tests.faults.docked import OwnEngine, more_experiments, rigged
from tests.faults.register import fault
from tests.faults.scene import Scene

PART = "docker engine"
SHORT_WAITS = """
from pipeline.host import execute
from pipeline.host.docker import engine as connection
execute.RETRY_PAUSE_S = 0.1
connection.LOST_PATIENCE_S = {patience_s}
"""
"""A prelude under which a retry follows at once, and an engine is waited for so long."""
LEADS = ("--experiment", "lead-3", "--experiment", "lead-b", "--experiment", "lead-c", "--docs", "4")
MORE = more_experiments("lead-b", "lead-c")
FIRST_IS_SLOW = """
import sys, time
from pipeline.worker.backends.lead import Lead
if any("/lead-3." in word for word in sys.argv):
    Lead.load = lambda self: time.sleep(8)
"""
"""The first of them takes its time to load."""


@pytest.fixture(scope="module")
def loaded_engine(engine: Engine, image: EnsureImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    """An engine of the tests' own that holds the small image."""
    own = OwnEngine(tmp_path_factory.mktemp("engine"))
    own.start()
    own.load(image("reference"), engine.address)
    yield own
    own.remove()


@pytest.fixture
def apart(scene: Scene, loaded_engine: OwnEngine, base: str) -> Scene:
    """The scene with jobs in containers of that engine."""
    scene.launcher, scene.engine = "docker", Engine(loaded_engine.address)
    scene.environment |= {BASE_VARIABLE: base, "DOCKER_HOST": loaded_engine.address}
    return scene


@fault("the Docker engine is stopped and started again while a container works", part=PART)
def test_the_engine_restarts(apart: Scene, loaded_engine: OwnEngine) -> None:
    _restart_under_a_job(apart, loaded_engine, signal.SIGTERM)


@fault("the Docker engine is killed and started again while a container works", part=PART)
def test_the_engine_crashes(apart: Scene, loaded_engine: OwnEngine) -> None:
    _restart_under_a_job(apart, loaded_engine, signal.SIGKILL)


def _restart_under_a_job(scene: Scene, own: OwnEngine, number: signal.Signals) -> None:
    """The job that it was running fails or is run again; those after it are run."""
    command = scene.start(*LEADS, prelude=SHORT_WAITS.format(patience_s=30) + MORE + rigged(FIRST_IS_SLOW))
    command.until_it_says("lead-3: load")
    own.stop(number)
    own.start()
    ended = command.wait()
    outcomes = {result["job"]["experiment"]: result["status"] for result in ended.results}
    assert (outcomes["lead-b"], outcomes["lead-c"]) == ("ok", "ok")
    assert ended.classes in ({}, {"lead-3": "daemon_unreachable"})  # none where it was run again and came through
    scene.aftermath(ended, prelude=MORE)


@fault("the Docker engine stops while a container works, and stays away", part=PART)
def test_the_engine_stays_away(apart: Scene, loaded_engine: OwnEngine) -> None:
    prelude = SHORT_WAITS.format(patience_s=2) + MORE + rigged(FIRST_IS_SLOW)
    command = apart.start(*LEADS, prelude=prelude)
    command.until_it_says("lead-3: load")
    loaded_engine.stop()
    ended = command.wait()
    assert ended.classes == dict.fromkeys(("lead-3", "lead-b", "lead-c"), "daemon_unreachable")
    loaded_engine.start()  # with the container that it could not be told to remove
    apart.aftermath(ended, prelude=MORE, swept_by_next=True)


@fault("no Docker engine answers when the command starts", part=PART)
def test_there_is_no_engine(apart: Scene, loaded_engine: OwnEngine) -> None:
    loaded_engine.stop()
    ended = apart.run("--experiment", "lead-3", "--docs", "4")
    assert ended.code == 1
    assert "no Docker engine answers" in ended.stderr
    loaded_engine.start()
    apart.aftermath(ended)
