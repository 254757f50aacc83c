"""Adapter for Hugging Face transformers: static batches, left padding.

The methods import the engine, so that the pure functions below can be used without it.
"""

import gc
import inspect
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

from pipeline.entries import Sampling
from pipeline.worker.backend import Backend, Completion, MemoryUse, OnStep, Request, Settings, Setup
from pipeline.worker.batches import Batches

OPTIONS = ("attention", "quantization")
ATTENTIONS = ("sdpa", "flash_attention_2", "eager")
OUT_OF_MEMORY = re.compile(
    "DefaultCPUAllocator: can't allocate memory|std::bad_alloc|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED"
    # what oneDNN says where it gets no memory for its code or its scratch pad; a descriptor fails for other reasons.
    # In bfloat16 it was seen to fail for good after that, however much is free: batches shrink to 1, which then fails
    "|could not (?:create|execute) a primitive(?! desc)|could not create a memory object"
)
"""What a RuntimeError says where memory ran out for another allocator than torch's own of the GPU."""


def create(setup: Setup) -> Backend:
    """An adapter, not loaded yet. ValueError for an option that it doesn't know.

    Options: attention, one of ATTENTIONS (default: the engine's choice); quantization, the arguments of
    BitsAndBytesConfig (default: none), where 4-bit layers compute in the setup's dtype unless told otherwise.
    """
    return TransformersBackend(setup)


class TransformersBackend:
    """One model on one device."""

    def __init__(self, setup: Setup) -> None:
        check_options(setup.options)
        self._setup = setup
        self._tokenizer: Any = None
        self._model: Any = None
        self._batches = setup.batches or Batches(setup.batch_size or 1, shrink=False)
        self._largest_cache_bytes = 0

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
            quantization_config=_bitsandbytes_config(setup),
            **local,
        )
        self._check_device()
        # In place of the checkpoint's own, which may sample, penalise repetition or end on other ids.
        self._model.generation_config = transformers.GenerationConfig(
            **sampling_arguments(setup.sampling), eos_token_id=list(setup.eos_ids) or None, pad_token_id=self._pad_id()
        )

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        return [self._tokenizer.encode(prompt, add_special_tokens=False, verbose=False) for prompt in prompts]

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        def attempt(batch: Sequence[Request]) -> list[list[int]]:
            return self._generate_batch(batch, on_step)

        ordered = longest_first(requests)
        for request, new_ids in self._batches.run(ordered, attempt, is_out_of_memory, self._free):
            output_ids, finish_reason = cut(new_ids, self._setup.eos_ids, request.max_new_tokens)
            # Cleaning up spaces, a default of some tokenizers, would change a text that other engines leave alone.
            text = self._tokenizer.decode(output_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            yield Completion(request.id, text, output_ids, finish_reason)

    def memory(self) -> MemoryUse:
        """kv_cache_bytes: of the largest batch as it ended, in warm-up and search for the batch size too."""
        return MemoryUse(
            weights_bytes=self._model.get_memory_footprint() + _quantization_constants_bytes(self._model),
            kv_cache_bytes=self._largest_cache_bytes or None,
            kv_cache_grows=True,
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
            attention=self._model.config._attn_implementation,
            batch_size_used=self._batches.used,
            engine_args={
                "device": str(self._model.device),
                "cudnn_attention": torch.backends.cuda.cudnn_sdp_enabled(),
                "quantization_config": quantization_arguments(self._setup.options, self._setup.dtype),
            },
            cached_prompt_tokens=0,  # each batch has a cache of its own
        )

    def close(self) -> None:
        self._model = self._tokenizer = None
        self._free()

    def _free(self) -> None:
        """Give memory that nothing refers to back to the system."""
        gc.collect()
        if self._setup.device == "cuda":
            import torch

            torch.cuda.empty_cache()  # does nothing where CUDA was never started

    def _check_device(self) -> None:
        check_device({parameter.device.type for parameter in self._model.parameters()}, self._setup.device)

    def _pad_id(self) -> int:
        """Any id will do: the mask hides it. Without a pad token, Llama's case, transformers would take EOS."""
        pad_id: int | None = self._tokenizer.pad_token_id
        return 0 if pad_id is None else pad_id

    def _generate_batch(self, batch: Sequence[Request], on_step: OnStep | None) -> list[list[int]]:
        """The new ids of each request, rows of equal length: what follows a row's end is padding."""
        import torch

        ids, mask = pad_left([request.prompt_ids for request in batch], self._pad_id())
        device = self._model.device
        longest = max(request.max_new_tokens for request in batch)
        report = StepReport(batch, self._setup.eos_ids, on_step) if on_step else None
        if self._setup.sampling.strategy == "sample":
            torch.manual_seed(batch[0].seed)  # of the GPU's generator too
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    input_ids=torch.tensor(ids, device=device),
                    attention_mask=torch.tensor(mask, device=device),
                    max_new_tokens=longest,
                    min_new_tokens=longest if any(request.full_length for request in batch) else None,
                    stopping_criteria=[report] if report else [],
                    return_dict_in_generate=True,  # for the cache, as the engine made it
                )
        except Exception:
            if report:
                report.take_back()
            raise
        self._largest_cache_bytes = max(self._largest_cache_bytes, cache_bytes(output.past_key_values))
        new_ids: list[list[int]] = output.sequences[:, len(ids[0]) :].tolist()
        return new_ids


def cache_bytes(cache: Any) -> int:
    """What a transformers Cache holds: keys and values of all layers, of one with a window no more than that."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.nbytes for tensor in tensors)


class StepReport:
    """A stopping criterion that stops nothing: it tells on_step which requests got a token in this step."""

    def __init__(self, batch: Sequence[Request], eos_ids: Collection[int], on_step: OnStep) -> None:
        self._remaining = {row: request.max_new_tokens for row, request in enumerate(batch)}
        self._told = dict.fromkeys((request.id for request in batch), 0)
        self._batch = batch
        self._eos_ids = eos_ids
        self._on_step = on_step

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """input_ids: tensor (batch, length so far), the newest ids last. Returns False for each row."""
        newest: list[int] = input_ids[:, -1].tolist()  # the one copy from the device
        added = [self._batch[row].id for row in self._remaining]
        for request_id in added:
            self._told[request_id] += 1
        self._on_step(dict.fromkeys(added, 1))
        self._remaining = {
            row: left - 1 for row, left in self._remaining.items() if left > 1 and newest[row] not in self._eos_ids
        }
        return input_ids.new_zeros(len(newest), dtype=bool)

    def take_back(self) -> None:
        """Say that what was told of this batch does not count: it failed."""
        self._on_step({request_id: -count for request_id, count in self._told.items() if count})


def is_out_of_memory(error: Exception) -> bool:
    """Whether a batch failed for want of memory, the GPU's or the machine's."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error))):
        return True
    import torch

    return isinstance(error, torch.OutOfMemoryError)


def check_options(options: Mapping[str, Any]) -> None:
    """ValueError for an option or an attention that the adapter doesn't know."""
    for name in options:
        if name not in OPTIONS:
            raise ValueError(f"option {name!r} is unknown to the transformers adapter; it takes {', '.join(OPTIONS)}")
    attention = options.get("attention")
    if attention not in (None, *ATTENTIONS):
        raise ValueError(f"option 'attention': {attention!r} is unknown; one of {', '.join(ATTENTIONS)}")


def check_device(found: Collection[str], asked: str) -> None:
    """RuntimeError where some of the weights are not on the device that was asked for: no silent fall-back."""
    if set(found) == {asked}:
        return
    others = set(found) - {asked}
    # weights that were offloaded, to main memory or the disk, show as meta
    where = "cpu" if others & {"cpu", "meta"} else ", ".join(sorted(others)) or "no device"
    listed = ", ".join(sorted(found))
    raise RuntimeError(f"transformers runs on {where} here, {asked} was asked for: the weights are on {listed}")


def sampling_arguments(sampling: Sampling) -> dict[str, Any]:
    """What GenerationConfig says of it: every field, since for one that is missing transformers has its own."""
    if sampling.strategy == "greedy":
        return {"do_sample": False}
    top_p = 1.0 if sampling.top_p is None else sampling.top_p
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": top_p, "top_k": sampling.top_k or 0}


def longest_first(requests: Sequence[Request]) -> list[Request]:
    """The longest prompts first: batches are then of like length, and memory trouble shows at once."""
    return sorted(requests, key=lambda request: len(request.prompt_ids), reverse=True)


def pad_left(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[list[list[int]], list[list[int]]]:
    """Rows padded at their start to the longest one's length, and the attention mask (0 for padding)."""
    length = max(len(row) for row in rows)
    ids = [[pad_id] * (length - len(row)) + list(row) for row in rows]
    mask = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
    return ids, mask


def cut(
    new_ids: Sequence[int], eos_ids: Collection[int], max_new_tokens: int
) -> tuple[tuple[int, ...], Literal["stop", "length"]]:
    """A row's ids up to its first end-of-sequence id, which is kept, or up to its limit; and why it ends there."""
    limited = tuple(new_ids[:max_new_tokens])
    for position, token in enumerate(limited):
        if token in eos_ids:
            return limited[: position + 1], "stop"
    return limited, "length"


def quantization_label(config: Mapping[str, Any] | None) -> str | None:
    """A quantization_config, as the loaded model tells it, in words; None where nothing is quantised."""
    if config is None:
        return None
    if config.get("load_in_4bit"):
        return f"bitsandbytes {config['bnb_4bit_quant_type']}"
    return "bitsandbytes int8" if config.get("load_in_8bit") else str(config["quant_method"])


def quantization_arguments(options: Mapping[str, Any], dtype: str) -> dict[str, Any] | None:
    """The quantization option with the dtype that 4-bit layers compute in, which would be float32 by default."""
    asked: Mapping[str, Any] | None = options.get("quantization")
    if asked is None:
        return None
    return ({"bnb_4bit_compute_dtype": dtype} if asked.get("load_in_4bit") else {}) | dict(asked)


def _bitsandbytes_config(setup: Setup) -> Any:
    """BitsAndBytesConfig of the quantization option, or None. ValueError for an argument that it would ignore."""
    arguments = quantization_arguments(setup.options, setup.dtype)
    if arguments is None:
        return None
    import transformers

    known = inspect.signature(transformers.BitsAndBytesConfig).parameters
    for name in arguments:
        if name not in known:
            raise ValueError(f"option 'quantization': {name!r} is unknown to BitsAndBytesConfig")
    return transformers.BitsAndBytesConfig(**arguments)


def _quantization_constants_bytes(model: Any) -> int:
    """What the footprint of a 4-bit model lacks: the scales beside the weights, an eighth of their size."""
    total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        while state is not None:  # doubly quantised scales have a state of their own
            total += state.absmax.nbytes
            state = state.state2
    return total
