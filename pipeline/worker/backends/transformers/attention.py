"""Attention for compiled steps: PyTorch's own for prompts, and for one query a row written out for the compiler.

PyTorch's kernel that takes a mask reads keys and values at less than half of an H200's bandwidth where each row has one
query (32 rows of Llama-2-7b's shape). Written out, the compiler makes kernels of it that stream them.
"""

from typing import Any

NAME = "sdpa_for_compiled_steps"


def register() -> str:
    """Make it known to transformers; its name there, for set_attn_implementation."""
    import transformers
    from transformers import masking_utils

    transformers.AttentionInterface.register(NAME, attend)
    transformers.AttentionMaskInterface.register(NAME, masking_utils.sdpa_mask)
    return NAME


def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> tuple[Any, None]:
    """As transformers' sdpa_attention_forward, to which all but steps of equally many heads are left.

    Shapes: query (rows, heads, queries, width), key and value (rows, key heads, length, width), attention_mask boolean
    (rows, 1, queries, length), True where a query may look. Returns (rows, queries, heads, width) in the query's dtype.
    """
    # a key that several heads share would be read once for each of them
    if query.shape[2] > 1 or query.shape[1] != key.shape[1] or attention_mask is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
        return found
    scaling = more.get("scaling")
    scores = (query.float() * key.float()).sum(-1) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    shares = scores.masked_fill(~attention_mask[:, 0], float("-inf")).softmax(-1)
    return (shares[..., None] * value.float()).sum(-2).to(query.dtype)[:, None], None
