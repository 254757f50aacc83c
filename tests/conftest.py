"""What several tests share: the repository's cache of environments and models, filled once and kept."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.wheelhouse import WHEELHOUSE
from tests.walkthrough import Reader, copy_repository, read_steps

REPOSITORY = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here, since pytest looks for options in the outermost folder of tests alone."""
    parser.addoption("--write-reliability", action="store_true", help="write tests/faults/outcomes.json")


@pytest.fixture(scope="session")
def data() -> Path:
    """The data folder with the bundled sample."""
    return REPOSITORY / "data"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache folder of this checkout: environments are minutes of work, so tests and `make demo` share them."""
    return REPOSITORY / "cache"


@pytest.fixture(scope="session")
def wheelhouse() -> Path:
    """The repository's wheelhouse, with torch in it: builds then need no index but the default one."""
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
