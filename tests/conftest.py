"""What several tests share: the repository's cache of environments and models, filled once and kept."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from images.wheelhouse import WHEELHOUSE
from pipeline.locks import exclusive
from tests.walkthrough import Reader, copy_repository, read_steps

REPOSITORY = Path(__file__).parent.parent


OF_THE_ENGINE = (
    "tests/containers/",
    "tests/faults/test_docker_engine.py",
    "tests/faults/test_docker_jobs.py",
    "tests/faults/test_provoked.py",
    "tests/faults/test_soak.py",
    "tests/test_adding_a_backend.py",
)
"""Tests that share one Docker engine, which some of them restart, and what is built on it: never two at a time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here, since pytest looks for options in the outermost folder of tests alone."""
    parser.addoption("--write-reliability", action="store_true", help="write tests/faults/outcomes.json")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what would be lost, since the outcomes of faults are gathered in one process; share the cores out."""
    if config.getoption("--write-reliability") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--write-reliability takes one process: run pytest without --numprocesses")
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    cores = sorted(os.sched_getaffinity(0))
    share = cores[int(number) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])] if number else cores
    # engines whose threads wait for each other all but stop where others take a core from one of them
    os.sched_setaffinity(0, share or cores)


class Scheduling(LoadFileScheduling):
    """Which tests may run at the same time: those of one file never, those of the engine never."""

    @property
    def nodes(self) -> list[WorkerController]:
        """In the order of their numbers, so that the first has the engine's tests, and its cores."""
        return sorted(super().nodes, key=lambda node: node.gateway.id)

    def _split_scope(self, nodeid: str) -> str:
        return "engine" if nodeid.startswith(OF_THE_ENGINE) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of the engine first, since they take longest."""
    shared = {"engine", "added_backend"}
    for item in items:
        if shared.intersection(getattr(item, "fixturenames", ())) and not item.nodeid.startswith(OF_THE_ENGINE):
            raise pytest.UsageError(f"{item.nodeid} takes a Docker engine: name its file in OF_THE_ENGINE")
    items.sort(key=lambda item: not item.nodeid.startswith(OF_THE_ENGINE))


@pytest.fixture(scope="session")
def data() -> Path:
    """The data folder with the bundled sample."""
    return REPOSITORY / "data"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache folder of this checkout: environments are minutes of work, so tests and `make demo` share them."""
    return REPOSITORY / "cache"


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's wheelhouse, with torch in it: builds then need no index but the default one."""
    with exclusive(tmp_path_factory.getbasetemp().parent / "wheelhouse.lock"):
        if not any(WHEELHOUSE.glob("torch-*.whl")):
            command = [sys.executable, "-m", "images.wheelhouse", "transformers", "--package", "torch"]
            subprocess.run(command, cwd=REPOSITORY, check=True)
    return WHEELHOUSE


@pytest.fixture(scope="module")
def findable_torch(wheelhouse: Path) -> Iterator[None]:
    """PyTorch's wheel for the CPU where the resolver finds it, whichever index it came from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", str(wheelhouse))
        yield


@pytest.fixture(scope="session")
def added_backend(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Whoever followed docs/adding-a-backend.md in a copy of the repository, up to where it takes a Docker engine."""
    reader = Reader(
        copy_repository(tmp_path_factory.mktemp("reader") / "repository"),
        environment={"UV_FIND_LINKS": str(wheelhouse)},
        # PyTorch's wheel for the CPU is in the wheelhouse, whether or not this machine reaches PyTorch's index
        instead={"images.conflicts textrank": "images.conflicts textrank --without-index"},
    )
    text = (REPOSITORY / "docs" / "adding-a-backend.md").read_text(encoding="utf-8")
    for step in read_steps(text.partition("Where a Docker engine answers")[0]):
        reader.follow(step)
    return reader
