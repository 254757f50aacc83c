"""Weights that are not where they were asked to be: an error of a known class, after loading and after generating."""

from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.analysis.failures import classify, load_signatures
from pipeline.worker.backend import Setup
from pipeline.worker.backends.transformers.adapter import TransformersBackend, check_device
from pipeline.worker.backends.vllm import VllmBackend

CUDA = Setup(Path("weights"), "cuda", "float16", {}, 1, 64, (1,), 0)


class Model:
    """As much of a loaded model as shows where its weights are."""

    def __init__(self, devices: Collection[str]) -> None:
        self.devices = devices

    def parameters(self) -> Iterator[Any]:
        for device in self.devices:
            yield SimpleNamespace(device=SimpleNamespace(type=device))


def class_of(error: BaseException) -> str:
    return classify(f"RuntimeError: {error}", load_signatures()).class_


def test_weights_that_are_all_on_the_gpu_are_accepted() -> None:
    check_device({"cuda"}, "cuda")


@pytest.mark.parametrize("devices", [{"cpu"}, {"cuda", "cpu"}, {"cuda", "meta"}])
def test_weights_of_which_some_are_elsewhere_are_a_gpu_that_is_not_used(devices: set[str]) -> None:
    with pytest.raises(RuntimeError, match="transformers runs on cpu here, cuda was asked for") as caught:
        check_device(devices, "cuda")
    assert class_of(caught.value) == "gpu_not_passed"


def test_weights_that_leave_the_gpu_while_it_generates_are_noticed_after_it() -> None:
    backend = TransformersBackend(CUDA)
    backend._model = Model(["cuda", "cpu"])
    with pytest.raises(RuntimeError, match="the weights are on cpu, cuda"):
        backend.settings()


def test_vllm_on_a_cpu_is_a_gpu_that_is_not_used() -> None:
    with pytest.raises(RuntimeError) as caught:
        VllmBackend(CUDA)._require_device("cpu")
    assert class_of(caught.value) == "gpu_not_passed"
