"""Has the transformers adapter complete requests of mixed lengths in its own ways, and prints what it saw as JSON.

`python -m tests.backends.compiling_probe`: compiled steps are traced as for a GPU, and run as they are.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.worker import synthetic
from pipeline.worker.backend import Backend, Request, Setup, create_backend
from pipeline.worker.batches import Batches

COMPILED = {"attention": "sdpa", "compile": {"backend": "eager", "fullgraph": True, "dynamic": False}}
LONG, MIDDLE, SHORT = 400, 200, 20
NEW_TOKENS = 12


def request(prompt_length: int, name: str = "") -> Request:
    ids = (synthetic.MODEL.bos_id or 0, *(40 + number % 50 for number in range(prompt_length - 1)))
    return Request(name or str(prompt_length), "", ids, NEW_TOKENS)


def graphs() -> int:
    """How many have been traced since the process began."""
    import torch

    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def outputs(backend: Backend, requests: Sequence[Request]) -> dict[str, Any]:
    return {completion.id: list(completion.output_ids or ()) for completion in backend.generate(requests)}


def attention_differences() -> dict[str, float]:
    """The largest difference between the attention of compiled steps and PyTorch's own, by heads and key heads.

    Rows of other lengths: what their masks hide must not count, whatever lies there.
    """
    import torch

    from pipeline.worker.backends.transformers.attention import attend

    torch.manual_seed(0)
    found = {}
    for heads, key_heads in ((4, 4), (4, 2), (4, 1)):
        query = torch.randn(3, heads, 1, 16)
        key, value = torch.randn(2, 3, key_heads, 40, 16)
        mask = (torch.arange(40) >= torch.tensor([[0], [7], [30]])) & (torch.arange(40) < 35)
        mask = mask[:, None, None]
        own, _ = attend(None, query, key, value.masked_fill(~mask.transpose(2, 3), 1e4), mask, scaling=0.3)
        theirs = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=0.3, enable_gqa=True
        )
        found[f"{heads}/{key_heads}"] = float((own - theirs.transpose(1, 2)).abs().max())
    return found


def masks_of_continuous_batching(setup: Setup) -> list[str]:
    """The dtypes of the masks that PyTorch's attention gets in continuous batching."""
    import torch

    found = set()
    attend = torch.nn.functional.scaled_dot_product_attention

    def noted(*tensors: Any, attn_mask: Any = None, **more: Any) -> Any:
        found.add(str(getattr(attn_mask, "dtype", None)))
        return attend(*tensors, attn_mask=attn_mask, **more)

    paged = {"auto_switch_to_flash": False, "num_blocks": 8, "max_batch_tokens": 512}
    backend = create_backend("transformers", replace(setup, options={"attention": "sdpa", "paged": paged}))
    backend.load()
    torch.nn.functional.scaled_dot_product_attention = noted
    try:
        outputs(backend, [request(SHORT), request(MIDDLE)])
    finally:
        torch.nn.functional.scaled_dot_product_attention = attend
    backend.close()
    return sorted(found)


def observe(weights: Path) -> dict[str, Any]:
    setup = Setup(weights, "cpu", "float32", COMPILED, 2, 512, (1,), 0)
    plain = create_backend("transformers", replace(setup, options={"attention": "sdpa"}))
    plain.load()
    mixed = [request(length) for length in (SHORT, LONG, MIDDLE, LONG - 1, SHORT + 1)]
    seen: dict[str, Any] = {"plain": outputs(plain, mixed)}
    plain.close()

    batches = Batches(2, shrink=True)
    backend = create_backend("transformers", replace(setup, batches=batches))
    backend.load()
    backend.compile_for([mixed[1], mixed[3]])
    seen["largest_bytes"] = backend.memory().kv_cache_bytes
    seen["compiles_for_shapes"] = backend.compile_for(mixed)
    before = graphs()
    seen["compiled"] = outputs(backend, mixed)
    seen["graphs_while_generating"] = graphs() - before
    seen["shapes"] = backend.settings().engine_args["compiled_shapes"]
    seen["all_bytes"] = backend.memory().kv_cache_bytes
    # one more row than there is memory for in the largest cache so far
    batches.size = 3
    seen["grown"] = outputs(backend, [*mixed[:2], mixed[3]])
    backend.close()
    seen["attention_differences"] = attention_differences()
    seen["masks_of_continuous_batching"] = masks_of_continuous_batching(setup)
    return seen


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print("\n" + json.dumps(observe(synthetic.write("hf", Path(folder)))))
