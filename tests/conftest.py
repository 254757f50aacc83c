"""What several tests share: the repository's cache of environments and models, filled once and kept."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.wheelhouse import WHEELHOUSE
from pipeline.locks import exclusive
from tests.walkthrough import Reader, copy_repository, read_steps

REPOSITORY = Path(__file__).parent.parent


ONE_AFTER_ANOTHER = frozenset({"engine", "added_backend"})
"""Fixtures whose tests share one Docker engine, which some of them restart, and what is built on it."""


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


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests may run at the same time: those of one file never, those of the engine never; these first, since
    they take longest.
    """

    def group(item: pytest.Item) -> str:
        shared = ONE_AFTER_ANOTHER.intersection(getattr(item, "fixturenames", ()))
        return "engine" if shared else item.path.relative_to(REPOSITORY).as_posix()

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: group(item) != "engine")


def on_one_core() -> None:
    """For preexec_fn: threads of an engine that wait for each other crawl where another test has one of their cores."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


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
