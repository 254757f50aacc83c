"""What several tests share: the repository's cache of environments and models, filled once and kept."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The data folder with the bundled sample."""
    return REPOSITORY / "data"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache folder of this checkout: environments are minutes of work, so tests and `make demo` share them."""
    return REPOSITORY / "cache"
