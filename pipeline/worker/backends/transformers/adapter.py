"""One model on one device, however its documents are batched."""

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pipeline.worker.backend import Completion, MemoryUse, OnStep, Request, Settings, Setup
from pipeline.worker.backends.transformers.compiled import CompiledBatches
from pipeline.worker.backends.transformers.options import (
    bitsandbytes_config,
    check_options,
    quantization_arguments,
    quantization_label,
    sampling_arguments,
)
from pipeline.worker.backends.transformers.paged import PagedBatches
from pipeline.worker.backends.transformers.rows import cut, ends_of
from pipeline.worker.backends.transformers.static import LibraryBatches, StaticBatches


class TransformersBackend:
    """See pipeline.worker.backend.Backend."""

    def __init__(self, setup: Setup) -> None:
        check_options(setup.options)
        self._setup = setup
        self._tokenizer: Any = None
        self._model: Any = None
        self._batching = batching(setup)

    def load(self) -> None:
        import torch
        import transformers

        # cuDNN's attention plans anew for each length of the cache, which no warm-up covers: on an H100 a first pass
        # took over four times as long as the next, and greedy texts differed from pass to pass.
        torch.backends.cuda.enable_cudnn_sdp(False)
        transformers.utils.logging.disable_progress_bar()
        # Its one message says that activations become float16, for every layer in every step, inside the time measured.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        setup = self._setup
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(setup.weights, **local)
        self._model = transformers.AutoModelForCausalLM.from_pretrained(
            setup.weights,
            use_safetensors=None if setup.allow_pickle else True,  # None opens pickles too, their tensors alone
            dtype=setup.dtype,
            device_map={"": 0 if setup.device == "cuda" else "cpu"},
            attn_implementation=setup.options.get("attention"),
            quantization_config=bitsandbytes_config(setup),
            **local,
        )
        self._check_device()
        # In place of the checkpoint's own, which may sample, penalise repetition or end on other ids.
        self._model.generation_config = transformers.GenerationConfig(
            **sampling_arguments(setup.sampling), eos_token_id=list(setup.eos_ids) or None, pad_token_id=self._pad_id()
        )
        self._batching.start(self._model, self._pad_id())

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        return [self._tokenizer.encode(prompt, add_special_tokens=False, verbose=False) for prompt in prompts]

    def compile_for(self, requests: Sequence[Request]) -> bool:
        return self._batching.compile_for(requests)

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        for request, new_ids in self._batching.generate(requests, on_step):
            ends = ends_of(request, self._setup.eos_ids)
            output_ids, finish_reason = cut(new_ids, ends, request.max_new_tokens)
            # Cleaning up spaces, a default of some tokenizers, would change a text that other engines leave alone.
            text = self._tokenizer.decode(output_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            yield Completion(request.id, text, output_ids, finish_reason)

    def memory(self) -> MemoryUse:
        return MemoryUse(
            weights_bytes=self._model.get_memory_footprint() + _quantization_constants_bytes(self._model),
            kv_cache_bytes=self._batching.kv_cache_bytes,
            kv_cache_grows=self._batching.kv_cache_grows,
        )

    def settings(self) -> Settings:
        """Raises RuntimeError where weights have left the device since they were loaded."""
        self._check_device()
        import torch

        # Weights that stay unquantised, the norms' and embeddings', are the ones of a floating-point dtype.
        dtype = next(parameter.dtype for parameter in self._model.parameters() if parameter.is_floating_point())
        return Settings(
            dtype=str(dtype).removeprefix("torch."),
            quantization=quantization_label(self._model.config.to_dict().get("quantization_config")),
            attention=self._batching.attention,
            batch_size_used=self._batching.batch_size_used,
            engine_args={
                "device": str(self._model.device),
                "cudnn_attention": torch.backends.cuda.cudnn_sdp_enabled(),
                "quantization_config": quantization_arguments(self._setup.options, self._setup.dtype),
                **self._batching.arguments(),
            },
            cached_prompt_tokens=0,  # static batches have caches of their own, and paged ones share no blocks
        )

    def close(self) -> None:
        self._batching.close()
        self._model = self._tokenizer = None
        self._batching.free()

    def _check_device(self) -> None:
        check_device({parameter.device.type for parameter in self._model.parameters()}, self._setup.device)

    def _pad_id(self) -> int:
        """Any id will do: the mask hides it. Without a pad token, Llama's case, transformers would take EOS."""
        pad_id: int | None = self._tokenizer.pad_token_id
        return 0 if pad_id is None else pad_id


def batching(setup: Setup) -> StaticBatches | PagedBatches:
    """How the setup's options have documents batched."""
    if "paged" in setup.options:
        return PagedBatches(setup)
    return CompiledBatches(setup) if "compile" in setup.options else LibraryBatches(setup)


def check_device(found: Collection[str], asked: str) -> None:
    """RuntimeError where some of the weights are not on the device that was asked for: no silent fall-back."""
    if set(found) == {asked}:
        return
    others = set(found) - {asked}
    # weights that were offloaded, to main memory or the disk, show as meta
    where = "cpu" if others & {"cpu", "meta"} else ", ".join(sorted(others)) or "no device"
    listed = ", ".join(sorted(found))
    raise RuntimeError(f"transformers runs on {where} here, {asked} was asked for: the weights are on {listed}")


def _quantization_constants_bytes(model: Any) -> int:
    """What the footprint of a 4-bit model lacks: the scales beside the weights, an eighth of their size."""
    total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        while state is not None:  # doubly quantised scales have a state of their own
            total += state.absmax.nbytes
            state = state.state2
    return total
