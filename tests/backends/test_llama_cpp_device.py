"""What the llama.cpp adapter makes of the GPU's memory after loading. The engine itself is replaced."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

NAME = "pipeline.worker.backends.llama_cpp"


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setitem(sys.modules, "xllamacpp", ModuleType("xllamacpp"))
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)


@pytest.mark.parametrize("risen", [1000, 500, None])
def test_weights_on_the_gpu_are_accepted_but_for_the_embeddings(adapter: ModuleType, risen: int | None) -> None:
    adapter.check_offloaded(risen, 1000)


@pytest.mark.parametrize("risen", [499, 0, -5])
def test_weights_that_stayed_in_main_memory_are_no_silent_fall_back(adapter: ModuleType, risen: int) -> None:
    with pytest.raises(RuntimeError, match=r"llama\.cpp runs on cpu here, cuda was asked for"):
        adapter.check_offloaded(risen, 1000)


def devices(adapter: ModuleType, *types: str) -> None:
    kinds = SimpleNamespace(GGML_BACKEND_DEVICE_TYPE_GPU="gpu")
    adapter.xllamacpp.ggml_backend_dev_type = kinds
    adapter.xllamacpp.get_device_info = lambda: [{"name": kind.upper(), "type": kind} for kind in types]


def test_a_gpu_among_the_devices_is_enough_to_begin(adapter: ModuleType) -> None:
    devices(adapter, "gpu", "cpu")
    adapter._require_gpu()


def test_no_gpu_among_the_devices_is_told_with_those_there_are(adapter: ModuleType) -> None:
    devices(adapter, "cpu")
    with pytest.raises(RuntimeError, match=r"llama\.cpp finds no GPU \(only CPU\)"):
        adapter._require_gpu()
