"""Many jobs in one command leave nothing behind, and the command doesn't grow with them.

benchmarks/soak.py with fewer jobs than where its figures are from (benchmarks/results/soak.json).
"""

from typing import Any

import pytest

from benchmarks.soak import soak
from tests.containers.conftest import BASE_VARIABLE
from tests.containers.support import EnsureImage

JOBS = 20
SETTLED = 8
"""Jobs after which the Docker SDK's pools of connections are full."""
MEMORY_PER_JOB_BYTES = 150_000
"""A job's results are kept for the report; the rest is the allocator's."""


@pytest.fixture(scope="module")
def figures(image: EnsureImage, base: str) -> dict[str, Any]:
    image("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BASE_VARIABLE, base)
        return soak(JOBS, SETTLED)


def test_all_jobs_come_through(figures: dict[str, Any]) -> None:
    assert (figures["ok"], figures["exit_status"]) == (JOBS, 0)


def test_no_container_process_or_file_is_left(figures: dict[str, Any]) -> None:
    assert figures["left"] == {"containers": [], "processes": [], "temporary_files": []}


def test_no_network_or_volume_is_left(figures: dict[str, Any]) -> None:
    before, after = figures["docker_before"], figures["docker_after"]
    assert (after["networks"], after["volumes"]) == (before["networks"], before["volumes"])


def test_files_and_threads_do_not_grow_with_the_jobs(figures: dict[str, Any]) -> None:
    settled = figures["after_settling"]
    assert figures["most_threads"] <= settled["threads"] + 2
    assert figures["at_the_end"]["open_files"] <= settled["open_files"] + 2


def test_memory_hardly_grows_with_the_jobs(figures: dict[str, Any]) -> None:
    assert figures["rss_growth_bytes_per_job"] < MEMORY_PER_JOB_BYTES
