"""Holds the single-query attention kernel against attention as it is defined, in Triton's interpreter, on a CPU.

`python -m tests.backends.kernel_probe`, with TRITON_INTERPRET=1: the last line of standard output is what it saw.
"""

import json
from typing import Any

import torch

from pipeline.worker.backends.vllm import kernel

LENGTHS = [1, 5, 63, 64, 65, 130]


def case(
    heads: int,
    kv_heads: int,
    dim: int,
    dtype: torch.dtype = torch.float32,
    *,
    page: int = 16,
    window: int | None = None,
    padding: int = 0,
    heads_first: bool = False,
    scaled: bool = False,
    enough: int = kernel.ENOUGH_PROGRAMS,
) -> dict[str, Any]:
    """The largest difference of any document's output, the splits, and what rows that pad the batch got."""
    kernel.ENOUGH_PROGRAMS = enough
    torch.manual_seed(0)
    lengths = torch.tensor([*LENGTHS, *[0] * padding], dtype=torch.int32)
    pages = [-(-length // page) for length in LENGTHS]
    scattered = torch.randperm(sum(pages) + 3, dtype=torch.int32)
    table = torch.zeros(len(lengths), max(pages), dtype=torch.int32)
    for document, count in enumerate(pages):
        start = sum(pages[:document])
        table[document, :count] = scattered[start : start + count]
    shape = (2, len(scattered), kv_heads, page, dim) if heads_first else (2, len(scattered), page, kv_heads, dim)
    cache = torch.randn(shape).to(dtype)
    keys, values = cache.transpose(2, 3) if heads_first else cache
    query = torch.randn(len(lengths), heads, dim)
    out = torch.full_like(query, 7.0)
    q_scale = torch.tensor(0.5) if scaled else None
    k_scale, v_scale = torch.tensor(2.0), torch.tensor(1.5)
    kernel.attend(query, keys, values, out, table, lengths, dim**-0.5, q_scale, (k_scale, v_scale), window)
    worst = 0.0
    for document, length in enumerate(LENGTHS):
        own = table[document, : pages[document]].long()
        k, v = (
            part[own]
            .float()
            .reshape(-1, kv_heads, dim)[:length][-(window or length) :]
            .repeat_interleave(heads // kv_heads, 1)
            for part in (keys, values)
        )
        scores = torch.einsum("hd,nhd->hn", query[document] * (0.5 if scaled else 1.0), k * 2.0) * dim**-0.5
        expected = torch.einsum("hn,nhd->hd", scores.softmax(-1), v * 1.5)
        worst = max(worst, (expected - out[document]).abs().max().item())
    padded = out[len(LENGTHS) :].abs().max().item() if padding else 0.0
    return {"worst": worst, "padded": padded, "splits": kernel.splits_for(len(lengths), heads)}


def main() -> None:
    """Print all cases."""
    seen = {
        "a head each": case(4, 4, 128),
        "grouped heads, a window, padding": case(4, 1, 256, window=20, padding=2),
        "heads first in the cache, bfloat16": case(4, 2, 64, torch.bfloat16, heads_first=True),
        "8 bits, one split": case(2, 2, 128, torch.float8_e4m3fn, scaled=True, padding=1, enough=1),
        "larger pages, few splits": case(4, 2, 64, page=64, enough=100),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
