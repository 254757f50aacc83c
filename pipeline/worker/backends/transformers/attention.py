"""Attention functions that are registered with transformers in place of its own.

For compiled steps: PyTorch's own for prompts, and products with a softmax between for one query a row.
PyTorch's kernel that takes a mask reads keys and values at 2.0 to 2.1 TB/s on an H200 where each row has one query (32
rows of Llama-2-7b's shape, 1,024 and 1,536 tokens); the products, compiled, at 3.5 to 3.7 TB/s. One sum of products
fused by the compiler came to 1.0 to 1.2, and to 3.2 once it had tuned each kernel, which lengthens compiling.

For continuous batching: PyTorch's own under a boolean mask, as static batches have it. transformers 5.19 makes one of
the dtype's lowest value; under it most of 100 bfloat16 texts on an H200 were broken. Among those that weren't is the
first of each 8,192 tokens that were read together, which has no other document's keys before its own.
"""

from typing import Any

NAME = "sdpa_for_compiled_steps"


def register_for_continuous_batching() -> None:
    """In place of transformers' sdpa, by whose name continuous batching knows that it needs masks."""
    import transformers

    transformers.AttentionInterface.register("sdpa", attend_under_boolean_mask)


def attend_under_boolean_mask(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any
) -> tuple[Any, None]:
    """As transformers' sdpa_attention_forward. attention_mask may be added to scores, 0 where a query may look."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask == 0
    found: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    return found


def register_for_compiled_steps() -> str:
    """Make it known to transformers; its name there, for set_attn_implementation."""
    import transformers
    from transformers import masking_utils

    transformers.AttentionInterface.register(NAME, attend)
    transformers.AttentionMaskInterface.register(NAME, masking_utils.sdpa_mask)
    return NAME


def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> tuple[Any, None]:
    """As transformers' sdpa_attention_forward, to which all but single queries are left.

    Shapes: query (rows, heads, queries, width), key and value (rows, key heads, length, width), attention_mask boolean
    (rows, 1, queries, length), True where a query may look. Returns (rows, queries, heads, width) in the query's dtype.
    """
    if query.shape[2] > 1 or attention_mask is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
        return found
    rows, heads, _, width = query.shape
    scaling = more.get("scaling")
    # the heads that share a key stand side by side
    grouped = query.reshape(rows, key.shape[1], heads // key.shape[1], width)
    scores = grouped @ key.transpose(2, 3) * (width**-0.5 if scaling is None else scaling)
    shares = scores.float().masked_fill(~attention_mask, float("-inf")).softmax(-1)
    return (shares.to(query.dtype) @ value).reshape(rows, 1, heads, width), None
