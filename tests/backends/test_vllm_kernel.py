"""The attention kernel for decoding steps, in Triton's interpreter in the environment of `vllm`."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.hardware import Hardware
from pipeline.host.environments import ensure_environment, process_environment
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.plan import Selected, select
from pipeline.spec import JobGpu
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
CPU = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")


@pytest.fixture(scope="module")
def seen(data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the probe saw."""
    folder = tmp_path_factory.mktemp("results")
    launcher = ProcessLauncher(data, cache, folder)
    [item] = select(["vllm"], CATALOG, CATALOG.models["gemma-3-270m"], CPU, launcher.why_not)
    assert isinstance(item, Selected)
    made = ensure_environment(cache, item.image, item.variant, folder / "log.txt")
    done = subprocess.run(
        [str(made / "bin" / "python"), "-m", "tests.backends.kernel_probe"],
        cwd=REPOSITORY,
        env={**process_environment(cache, item.image, item.variant, network=False), "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_it_is_attention_but_for_rounding(seen: Any) -> None:
    assert len(seen) == 5
    assert max(case["worst"] for case in seen.values()) < 1e-5


def test_rows_that_pad_a_batch_get_zeros(seen: Any) -> None:
    assert max(case["padded"] for case in seen.values()) == 0.0


def test_both_ways_of_writing_the_result_were_taken(seen: Any) -> None:
    splits = {case["splits"] for case in seen.values()}
    assert 1 in splits
    assert max(splits) > 1
