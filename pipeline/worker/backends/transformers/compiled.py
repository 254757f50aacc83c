"""Static batches whose decoding step is compiled, and on a GPU captured as a CUDA graph, over a static cache.

The library's own generate() can do that too, but makes a cache for each call and, outside the compiled part, masks and
checks for each step, for which it waits on the device. Here a step is one call, masks included, and the host reads its
ids while the device already computes the next one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.entries import Sampling
from pipeline.worker.backend import Request, Setup, longest_first
from pipeline.worker.backends.transformers.rows import Rows, pad_left
from pipeline.worker.backends.transformers.static import StaticBatches, cache_bytes, free_memory, is_out_of_memory

LENGTH_STEP = 256
"""Caches have room for a multiple of so many tokens, so that texts of mixed lengths need few compiled shapes: each
takes half a minute to compile for Llama-2-7b on an H200. Attention reads all of that room, used or not."""

MOST_SHAPES = 64
"""That are compiled at most; torch's own limit of 8 would silently leave further ones uncompiled."""

COMPILING_TOKENS = 4
"""What a shape is compiled with: one token by reading the prompt, then a first step that compiles, one that is captured
as a CUDA graph, and one that replays it."""


class Shape(NamedTuple):
    """Of a static cache: rows, and tokens of each that it has room for."""

    rows: int
    length: int


def shape_of(batch: Sequence[Request]) -> Shape:
    """The smallest cache with room for a batch padded to its longest prompt, with the most new tokens behind it."""
    longest = max(len(request.prompt_ids) for request in batch) + max(request.max_new_tokens for request in batch)
    return Shape(len(batch), math.ceil(longest / LENGTH_STEP) * LENGTH_STEP)


class CompiledBatches(StaticBatches):
    """By a compiled step over static caches, each batch at the shape that shape_of gives it."""

    kv_cache_grows = False

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._step: Any = None
        self._caches = StaticCaches()
        self._compiled: list[Shape] = []

    def start(self, model: Any, pad_id: int) -> None:
        super().start(model, pad_id)
        import torch

        from pipeline.worker.backends.transformers import attention

        # one entry a shape; the limit is an error, since what is beyond it would run uncompiled
        torch._dynamo.config.recompile_limit = MOST_SHAPES
        torch._dynamo.config.fail_on_recompile_limit_hit = True
        if self.attention == "sdpa":
            model.set_attn_implementation(attention.register_for_compiled_steps())
        self._step = torch.compile(decoding_step, **self.setup.options["compile"])

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """Run each shape that these requests' batches have for a few tokens, unless it was."""

        def attempt(batch: Sequence[Request]) -> Sequence[Request]:
            if shape_of(batch) not in self._compiled:
                self._run(batch, Rows(batch, (), None), COMPILING_TOKENS)
            return batch

        for _done in self._batches.run(longest_first(requests), attempt, is_out_of_memory, self.free):
            pass
        return True

    def generate_batch(self, batch: Sequence[Request], rows: Rows, *, watched: bool) -> list[list[int]]:
        """What follows a row's end are ids that nobody asked for."""
        return self._run(batch, rows, max(request.max_new_tokens for request in batch))

    def _run(self, batch: Sequence[Request], rows: Rows, most: int) -> list[list[int]]:
        """At most `most` new ids of each row, fewer where all rows have ended."""
        import torch

        device = self.model.device
        shape = shape_of(batch)
        ids, mask = pad_left([request.prompt_ids for request in batch], self.pad_id)
        width = len(ids[0])
        seen = torch.tensor([row + [1] * (shape.length - width) for row in mask], device=device)
        positions = (seen[:, :width].cumsum(-1) - 1).clamp(min=0)
        choose = chooser(self.setup.sampling)
        if self._caches.outgrown_by(shape):
            self.free()
        with torch.no_grad():
            cache = self._caches.of(shape, self.model)
            prompt = torch.tensor(ids, device=device)
            newest = choose(_logits(self.model, prompt, seen, positions, cache, logits_to_keep=1))
            position = seen[:, :width].sum(-1, keepdim=True)
            taken: list[list[int]] = []
            for number in range(1, most + 1):
                reading = Reading(newest)
                if number < most:
                    torch.compiler.cudagraph_mark_step_begin()
                    newest = choose(self._step(self.model, newest[:, None], seen, position, cache))
                    position += 1
                taken.append(reading.ids())
                rows.take(taken[-1])
                if rows.ended:
                    break
        if shape not in self._compiled:
            self._compiled.append(shape)
        return [list(row) for row in zip(*taken, strict=True)]

    @property
    def kv_cache_bytes(self) -> int | None:
        """Of the largest shape, whose memory the others use too."""
        return self._caches.bytes or None

    def arguments(self) -> Mapping[str, Any]:
        """compile: the arguments of torch.compile. compiled_shapes: rows and cache length, in order of compiling.

        compiled_attention: what attends where the step is compiled.
        """
        return {
            "compile": dict(self.setup.options["compile"]),
            "compiled_attention": self.model.config._attn_implementation,
            "compiled_shapes": [list(shape) for shape in self._compiled],
        }

    def free(self) -> None:
        """Everything goes: compiled code and CUDA graphs hold the addresses of the caches."""
        self._caches = StaticCaches()
        self._compiled.clear()
        if self.model is not None:
            import torch

            torch._dynamo.reset()
        free_memory(self.setup)

    def close(self) -> None:
        self.free()
        self._step = None
        super().close()


class StaticCaches:
    """A static cache a shape, all of them over the memory of the largest, since only one is in use at a time.

    Every layer is as long as its cache, one with a window too: a cache as long as the window would have to be rotated,
    in compiled code of its own for each length. The mask hides what lies beyond the window.
    """

    def __init__(self) -> None:
        self._made: dict[Shape, Any] = {}
        self._largest: Any = None

    @property
    def bytes(self) -> int:
        """Of the largest."""
        initialized = self._largest is not None and self._largest.layers[0].is_initialized
        return cache_bytes(self._largest) if initialized else 0

    def outgrown_by(self, shape: Shape) -> bool:
        """Whether it needs more memory than the largest, which then has to go first."""
        return bool(self._made) and shape.rows * shape.length > max(made.rows * made.length for made in self._made)

    def of(self, shape: Shape, model: Any) -> Any:
        """An empty cache."""
        if shape in self._made:
            self._made[shape].reset()
            return self._made[shape]
        from transformers.cache_utils import Cache, StaticLayer

        layers = model.config.get_text_config().num_hidden_layers
        cache = Cache(layers=[StaticLayer(max_cache_len=shape.length) for _ in range(layers)])
        if self._made:
            _share(cache, self._largest, shape.rows)
        else:
            self._largest = cache  # gets its memory with the first keys and values
        self._made[shape] = cache
        return cache


def _share(cache: Any, largest: Any, rows: int) -> None:
    """Let each layer's keys and values lie where those of the largest cache do."""
    import torch

    for layer, roomy in zip(cache.layers, largest.layers, strict=True):
        one_of_each = [tensor[:1, :, :1].expand(rows, -1, -1, -1) for tensor in (roomy.keys, roomy.values)]
        layer.lazy_initialization(*one_of_each)
        layer.keys = roomy.keys.view(-1)[: layer.keys.numel()].view(layer.keys.shape)
        layer.values = roomy.values.view(-1)[: layer.values.numel()].view(layer.values.shape)
        for tensor in (layer.keys, layer.values):
            torch._dynamo.mark_static_address(tensor)  # CUDA graphs then use it where it lies, with no copy
    cache.reset()


class Reading:
    """A step's ids on their way to the host, ahead of whatever the device is given to do after it."""

    def __init__(self, ids: Any) -> None:
        import torch

        self._ids, self._arrived = ids, None
        if ids.is_cuda:
            self._ids = torch.empty(ids.shape, dtype=ids.dtype, pin_memory=True)
            self._ids.copy_(ids, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def ids(self) -> list[int]:
        """Waits for them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        found: list[int] = self._ids.tolist()
        return found


def decoding_step(model: Any, ids: Any, seen: Any, position: Any, cache: Any) -> Any:
    """Logits of the next token. Shapes: ids and position (rows, 1); seen (rows, length of the cache), 0 for padding.

    Returns float32 (rows, vocabulary).
    """
    return _logits(model, ids, seen, position, cache)


def _logits(model: Any, ids: Any, seen: Any, positions: Any, cache: Any, **more: Any) -> Any:
    """Of the last position. In float32, which the library's own generate() chooses from too."""
    output = model(
        input_ids=ids, attention_mask=seen, position_ids=positions, past_key_values=cache, use_cache=True, **more
    )
    return output.logits[:, -1].float()


def chooser(sampling: Sampling) -> Callable[[Any], Any]:
    """What makes ids (rows) of logits (rows, vocabulary)."""
    if sampling.strategy == "greedy":
        return lambda logits: logits.argmax(-1)
    from transformers.generation import logits_process

    warpers = [logits_process.TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k:
        warpers.append(logits_process.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None and sampling.top_p < 1.0:
        warpers.append(logits_process.TopPLogitsWarper(sampling.top_p))

    def draw(logits: Any) -> Any:
        for warper in warpers:
            logits = warper(None, logits)
        return logits.softmax(-1).multinomial(1).squeeze(1)

    return draw
