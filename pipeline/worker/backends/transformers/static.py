"""Static batches: so many documents a step, of like length, padded at their start; the next batch when all are done."""

import gc
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.worker.backend import OnStep, Request, Setup, longest_first
from pipeline.worker.backends.transformers.rows import Rows, pad_left
from pipeline.worker.batches import Batches

OUT_OF_MEMORY = re.compile(
    "DefaultCPUAllocator: can't allocate memory|std::bad_alloc|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED"
    # what oneDNN says where it gets no memory for its code or its scratch pad; a descriptor fails for other reasons.
    # In bfloat16 it was seen to fail for good after that, however much is free: batches shrink to 1, which then fails
    "|could not (?:create|execute) a primitive(?! desc)|could not create a memory object"
)
"""What a RuntimeError says where memory ran out for another allocator than torch's own of the GPU."""


class StaticBatches(ABC):
    """Documents generated in batches of Setup.batch_size, or as Setup.batches says."""

    kv_cache_grows = True

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.model: Any = None
        self.pad_id = 0
        self.attention: str | None = None
        self._batches = setup.batches or Batches(setup.batch_size or 1, shrink=False)

    def start(self, model: Any, pad_id: int) -> None:
        """Take a loaded model."""
        self.model, self.pad_id = model, pad_id
        self.attention = model.config._attn_implementation

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """See Backend."""
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None) -> Iterator[tuple[Request, Sequence[int]]]:
        """Each request with its new ids; what follows an end of it, or its limit, is not part of it."""

        def attempt(batch: Sequence[Request]) -> list[list[int]]:
            return self._attempt(batch, on_step)

        yield from self._batches.run(longest_first(requests), attempt, is_out_of_memory, self.free)

    def _attempt(self, batch: Sequence[Request], on_step: OnStep | None) -> list[list[int]]:
        if self.setup.sampling.strategy == "sample":
            import torch

            torch.manual_seed(batch[0].seed)  # of the GPU's generator too
        rows = Rows(batch, self.setup.eos_ids, on_step)
        try:
            return self.generate_batch(batch, rows, watched=on_step is not None)
        except Exception:
            rows.take_back()
            raise

    @abstractmethod
    def generate_batch(self, batch: Sequence[Request], rows: Rows, *, watched: bool) -> list[list[int]]:
        """The new ids of each request, rows of equal length. watched: whether rows has somebody to tell of tokens."""

    @property
    def kv_cache_bytes(self) -> int | None:
        """See MemoryUse."""
        return None

    @property
    def batch_size_used(self) -> int | None:
        """See Settings."""
        return self._batches.used

    def arguments(self) -> Mapping[str, Any]:
        """What is to stand in Settings.engine_args."""
        return {}

    def free(self) -> None:
        """Give memory that nothing refers to back to the system."""
        free_memory(self.setup)

    def close(self) -> None:
        """Let go of the model."""
        self.model = None


class LibraryBatches(StaticBatches):
    """By the library's own generate(), over a cache that grows with the texts."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._largest_cache_bytes = 0

    def generate_batch(self, batch: Sequence[Request], rows: Rows, *, watched: bool) -> list[list[int]]:
        """What follows a row's end is padding."""
        import torch

        ids, mask = pad_left([request.prompt_ids for request in batch], self.pad_id)
        device = self.model.device
        longest = max(request.max_new_tokens for request in batch)
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=torch.tensor(ids, device=device),
                attention_mask=torch.tensor(mask, device=device),
                max_new_tokens=longest,
                min_new_tokens=longest if any(request.full_length for request in batch) else None,
                stopping_criteria=[StepReport(rows)] if watched else [],
                return_dict_in_generate=True,  # for the cache, as the engine made it
            )
        self._largest_cache_bytes = max(self._largest_cache_bytes, cache_bytes(output.past_key_values))
        new_ids: list[list[int]] = output.sequences[:, len(ids[0]) :].tolist()
        return new_ids

    @property
    def kv_cache_bytes(self) -> int | None:
        """Of the largest batch as it ended, in warm-up and search for the batch size too."""
        return self._largest_cache_bytes or None


class StepReport:
    """A stopping criterion that stops nothing: it tells the rows of their newest ids, in one copy from the device."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """input_ids: tensor (batch, length so far), the newest ids last. Returns False for each row."""
        newest: list[int] = input_ids[:, -1].tolist()
        self._rows.take(newest)
        return input_ids.new_zeros(len(newest), dtype=bool)


def cache_bytes(cache: Any) -> int:
    """What a transformers Cache holds: keys and values of all layers, of one with a window no more than that."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.nbytes for tensor in tensors)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a batch failed for want of memory, the GPU's or the machine's."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error))):
        return True
    import torch

    return isinstance(error, torch.OutOfMemoryError)


def free_memory(setup: Setup) -> None:
    """Give memory that nothing refers to back to the system."""
    gc.collect()
    if setup.device == "cuda":
        import torch

        torch.cuda.empty_cache()  # does nothing where CUDA was never started
