"""Compiled steps and attention masks of the transformers adapter, over requests of mixed lengths on random weights."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.hardware import Hardware
from pipeline.host.environments import environment_folder, process_environment
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.prepare import Preparation
from pipeline.plan import Selected, select
from pipeline.report.watch import LineWatcher
from pipeline.spec import JobGpu
from tests.backends.compiling_probe import LONG, NEW_TOKENS, SHORT
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
CPU = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")


@pytest.fixture(scope="module")
def seen(data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the probe saw, in the environment of `none`."""
    launcher = ProcessLauncher(data, cache, tmp_path_factory.mktemp("results"))
    model = CATALOG.models["gemma-3-270m"]
    [item] = select(["none"], CATALOG, model, CPU, launcher.why_not)
    assert isinstance(item, Selected)
    folder = tmp_path_factory.mktemp("preparation")
    Preparation(CATALOG, launcher, CPU, {}, cache, folder, LineWatcher()).prepare([item])
    done = subprocess.run(
        [
            str(environment_folder(cache, item.image, item.variant) / "bin" / "python"),
            "-m",
            "tests.backends.compiling_probe",
        ],
        cwd=REPOSITORY,
        env=process_environment(cache, item.image, item.variant, network=False),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_compiled_step_writes_what_the_library_writes(seen: Any) -> None:
    """In float32 neither padding, nor the static cache, nor what lies in it from an earlier batch changes a text."""
    assert seen["compiled"] == seen["plain"]


def test_documents_of_mixed_length_have_few_shapes(seen: Any) -> None:
    assert seen["compiles_for_shapes"] is True
    assert seen["shapes"] == [[2, 512], [2, 256], [1, 256]]


def test_nothing_is_compiled_while_documents_are_generated(seen: Any) -> None:
    assert seen["graphs_while_generating"] == 0


def test_all_shapes_together_take_the_memory_of_the_largest(seen: Any) -> None:
    assert seen["all_bytes"] == seen["largest_bytes"] > 0


def test_a_batch_larger_than_any_before_is_completed_all_the_same(seen: Any) -> None:
    names = [str(length) for length in (SHORT, LONG, LONG - 1)]
    assert seen["grown"] == {name: seen["plain"][name] for name in names}
    assert all(len(ids) == NEW_TOKENS for ids in seen["grown"].values())


def test_the_attention_of_a_compiled_step_is_pytorchs_own_but_for_rounding(seen: Any) -> None:
    assert set(seen["attention_differences"]) == {"4/4", "4/2", "4/1"}
    assert max(seen["attention_differences"].values()) < 1e-5


def test_attention_of_continuous_batching_is_masked_by_booleans(seen: Any) -> None:
    """Under the lowest value instead, bfloat16 texts were broken on a GPU."""
    assert seen["masks_of_continuous_batching"] == ["torch.bool"]
