"""The library's continuous batching: a document that is done makes room for the next at once, over a paged cache."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pipeline.worker.backend import OnStep, Request, Setup, longest_first
from pipeline.worker.backends.transformers.rows import ends_of
from pipeline.worker.backends.transformers.static import free_memory

NO_EOS = -1
"""How a request says that no id ends it."""
LEAST_WAITING = 32
"""Requests that the engine has beyond those that it can have under way, at least."""
POLL_S = 1.0
"""How long a result is waited for before the engine's thread is looked after."""
STOP_LIMIT_S = 30.0


class PagedBatches:
    """By the library's manager, whose thread runs as long as the model is loaded."""

    kv_cache_grows = False

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._manager: Any = None
        self._at_once = 0
        self._model: Any = None

    def start(self, model: Any, pad_id: int) -> None:
        """Reserve the pool, capture CUDA graphs where it uses them, and start the thread."""
        import transformers

        from pipeline.worker.backends.transformers import attention

        self._model = model
        if model.config._attn_implementation == "sdpa":
            attention.register_for_continuous_batching()
        config = transformers.ContinuousBatchingConfig(**paged_arguments(self._setup))
        self._manager = model.init_continuous_batching(continuous_batching_config=config)
        self._manager.warmup()
        self._manager.start()

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """See Backend. What it captures is captured as it starts, or with a first batch of that size."""
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None) -> Iterator[tuple[Request, Sequence[int]]]:
        """Each request with its ids as it is finished. Raises RuntimeError with what broke the engine."""
        if self._setup.sampling.strategy == "sample":
            import torch

            torch.manual_seed(requests[0].seed)  # the engine's thread draws from the same generator
        unfinished: dict[str, Request] = {}
        told: dict[str, int] = {}
        coming, streaming = iter(longest_first(requests)), on_step is not None
        try:
            # the first of them all before its next step, which would else begin with as many as had come by chance
            with self._manager.pause():
                self._fill(unfinished, coming, streaming=streaming)
            while unfinished:
                result = self._result()
                added = len(result.generated_tokens) - told.get(result.request_id, 0)
                if on_step is not None and added:
                    told[result.request_id] = len(result.generated_tokens)
                    on_step({result.request_id: added})
                if result.is_finished():
                    request = unfinished.pop(result.request_id)
                    told.pop(result.request_id, None)
                    self._fill(unfinished, coming, streaming=streaming)
                    yield request, result.generated_tokens
        finally:
            for request_id in unfinished if self._manager else ():  # closed before this generator was
                self._manager.cancel_request(request_id)

    def _fill(self, unfinished: dict[str, Request], coming: Iterator[Request], *, streaming: bool) -> None:
        """Give the engine requests until it has as many waiting as could all be started by its next step."""
        at_once: int = self._manager.continuous_batching_config.max_requests_per_batch
        for request in islice(coming, at_once + max(at_once, LEAST_WAITING) - len(unfinished)):
            unfinished[request.id] = request
            self._manager.add_request(
                list(request.prompt_ids),
                request_id=request.id,
                max_new_tokens=request.max_new_tokens,
                streaming=streaming,
                eos_token_id=list(ends_of(request, self._setup.eos_ids)) or NO_EOS,
            )

    def _result(self) -> Any:
        """The next of any request. Raises RuntimeError where a request, or the thread, broke."""
        while True:
            result = self._manager.get_result(timeout=POLL_S)
            if result is not None and result.error is None:
                self._at_once = max(self._at_once, len(self._manager.batch_processor.scheduler.active_requests))
                return result
            fatal = self._manager.background_thread_status.fatal_error
            if fatal is not None:
                raise RuntimeError(f"continuous batching broke: {fatal}") from fatal
            if result is not None:
                raise RuntimeError(f"continuous batching broke request {result.request_id}: {result.error}")
            if not self._manager.is_running():
                raise RuntimeError("continuous batching ended without a reason")

    @property
    def attention(self) -> str | None:
        """See Settings; the engine may have switched to another than was asked for."""
        found: str | None = self._model.config._attn_implementation
        return found

    @property
    def kv_cache_bytes(self) -> int | None:
        """Of the pool."""
        size: int = self._manager.batch_processor.cache.cache_tensor.nbytes
        return size

    @property
    def batch_size_used(self) -> int | None:
        """The most requests that were under way at once, as seen whenever one got a token or was finished."""
        return self._at_once or None

    def arguments(self) -> Mapping[str, Any]:
        """paged: what the engine made of its ContinuousBatchingConfig, as far as it is plain values."""
        resolved = self._manager.continuous_batching_config
        names = inspect.signature(type(resolved)).parameters
        found = {name: getattr(resolved, name) for name in names}
        plain = (bool, int, float, str, tuple)
        return {"paged": {name: value for name, value in found.items() if isinstance(value, plain)}}

    def free(self) -> None:
        """Give memory that nothing refers to back to the system."""
        free_memory(self._setup)

    def close(self) -> None:
        """End the engine's thread."""
        self._model = None
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.stop(block=True, timeout=STOP_LIMIT_S, hard_stop=True)
            manager.destroy()


def paged_arguments(setup: Setup) -> dict[str, Any]:
    """The paged option, with what makes it comparable: no prompt is taken from an earlier request's cache."""
    batch = {} if setup.batch_size is None else {"max_requests_per_batch": setup.batch_size}
    return {"allow_block_sharing": False, **batch, **setup.options["paged"]}
