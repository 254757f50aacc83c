"""What tests of the host share."""

from pathlib import Path

import pytest

from pipeline.host.environments import ensure_environment
from tests.runs import CATALOG, Run


@pytest.fixture
def run(cache: Path, tmp_path: Path) -> Run:
    image = CATALOG.images["reference"]
    ensure_environment(cache, image, image.variants[0], tmp_path / "log.txt")
    return Run(cache, tmp_path / "results")
