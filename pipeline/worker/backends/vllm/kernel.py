"""Attention of one query per document over a paged KV cache, as a Triton kernel.

A decoding step asks for one query a document and head against all keys of that document, so nothing is shared between
queries and the time is that of reading keys and values. Kernels made for tensor cores fill a tile of 64 queries with
one of them, and with keys and values in 8 bits they become bound by that: FlashAttention 3 read at 2.2 TB/s on an H200
(100 documents, 32 heads of 128), FlashInfer's two kernels at 1.6 and 3.0, this one at 3.5. It multiplies in float32 and
lets one warp work on a stretch of a document, so that enough of them wait for memory at once.
"""

from typing import Any

import torch
import triton
import triton.language as tl

LOG2_E = 1.4426950408889634
TILE = 8192
"""Elements of a tile of keys: what one warp holds in its registers."""
ENOUGH_PROGRAMS = 6400
"""From so many on, more splits gained nothing on an H200 with its 132 multiprocessors."""
MOST_SPLITS = 32


@triton.jit
def _attend(
    query,
    keys,
    values,
    out,
    partial,
    weight,
    table,
    lengths,
    q_scale,
    k_scale,
    v_scale,
    scale,
    window,
    query_row,
    out_row,
    table_row,
    page_stride,
    token_stride,
    head_stride,
    HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    PAGE: tl.constexpr,
    DIM: tl.constexpr,
    TOKENS: tl.constexpr,
    SPLITS: tl.constexpr,
    SCALED: tl.constexpr,
):
    """One head of one document over one stretch of its keys: out directly, or a partial sum and its log2 weight."""
    head = tl.program_id(0)
    document = tl.program_id(1)
    split = tl.program_id(2)
    length = tl.load(lengths + document)
    first = tl.maximum(0, length - window)
    stretch = tl.cdiv(tl.cdiv(length - first, SPLITS), TOKENS) * TOKENS
    start = first + split * stretch
    end = tl.minimum(length, start + stretch)
    dims = tl.arange(0, DIM)
    steps = tl.arange(0, TOKENS)
    factor = scale * tl.load(k_scale)
    if SCALED:
        factor = factor * tl.load(q_scale)
    q = tl.load(query + document * query_row + head * DIM + dims).to(tl.float32) * factor
    highest = -float("inf")
    total = 0.0
    sums = tl.zeros([DIM], tl.float32)
    for position in range(start, end, TOKENS):
        token = position + steps
        there = token < end
        page = tl.load(table + document * table_row + token // PAGE, mask=there, other=0).to(tl.int64)
        place = page * page_stride + (token % PAGE) * token_stride + (head // GROUP) * head_stride
        k = tl.load(keys + place[:, None] + dims[None, :], mask=there[:, None], other=0.0)
        v = tl.load(values + place[:, None] + dims[None, :], mask=there[:, None], other=0.0)
        score = tl.where(there, tl.sum(k.to(tl.float32) * q[None, :], 1), -float("inf"))
        higher = tl.maximum(highest, tl.max(score, 0))
        fade = tl.exp2(highest - higher)
        share = tl.exp2(score - higher)
        total = total * fade + tl.sum(share, 0)
        sums = sums * fade + tl.sum(share[:, None] * v.to(tl.float32), 0)
        highest = higher
    # a row that pads the batch has no keys, and a split of a short document may have none
    result = sums / tl.where(total > 0, total, 1.0)
    if SPLITS == 1:
        result = result * tl.load(v_scale)
        tl.store(out + document * out_row + head * DIM + dims, result.to(out.dtype.element_ty))
    else:
        place = (document * HEADS + head) * SPLITS + split
        tl.store(partial + place * DIM + dims, result)
        tl.store(weight + place, tl.where(total > 0, highest + tl.log2(total), -float("inf")))


@triton.jit
def _merge(partial, weight, out, v_scale, out_row, HEADS: tl.constexpr, DIM: tl.constexpr, SPLITS: tl.constexpr):
    """The weighted mean of a head's partial sums."""
    head = tl.program_id(0)
    document = tl.program_id(1)
    dims = tl.arange(0, DIM)
    splits = tl.arange(0, SPLITS)
    place = (document * HEADS + head) * SPLITS + splits
    weights = tl.load(weight + place)
    highest = tl.max(weights, 0)
    shares = tl.exp2(weights - tl.where(highest == -float("inf"), 0.0, highest))
    sums = tl.load(partial + place[:, None] * DIM + dims[None, :])
    total = tl.sum(shares, 0)
    result = tl.sum(shares[:, None] * sums, 0) / tl.where(total > 0, total, 1.0) * tl.load(v_scale)
    tl.store(out + document * out_row + head * DIM + dims, result.to(out.dtype.element_ty))


def splits_for(documents: int, heads: int) -> int:
    """Into how many stretches, a power of 2, each document's keys are split, so that a small batch keeps a GPU busy."""
    splits = 1
    while splits < MOST_SPLITS and splits * documents * heads < ENOUGH_PROGRAMS:
        splits *= 2
    return splits


def can_attend(head_dim: int) -> bool:
    """Whether the kernel takes heads of that dimension."""
    return head_dim in (64, 128, 256)


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    out: torch.Tensor,
    table: torch.Tensor,
    lengths: torch.Tensor,
    scale: float,
    q_scale: torch.Tensor | None,
    kv_scales: tuple[torch.Tensor, torch.Tensor],
    window: int | None = None,
) -> None:
    """Attention of the last token of each document over its own cached keys and values, written to `out`.

    query, out: (documents, heads, head_dim). keys, values: (pages, page, kv_heads, head_dim) of any strides but the
    last, which is 1, equal for both. table: (documents, pages of the longest), which pages each document's tokens are
    in. lengths: (documents,), its tokens, 0 for a row that pads the batch, which gets zeros. scale: of the scores, as
    1 / sqrt(head_dim). q_scale: what the query is to be multiplied with, one number; None for nothing. kv_scales: those
    of keys and values. window: how many tokens back it looks, the last included; None for all.
    """
    documents, heads, head_dim = query.shape
    splits = splits_for(documents, heads)
    partial = torch.empty((documents, heads, splits, head_dim), dtype=torch.float32, device=query.device)
    weight = torch.empty((documents, heads, splits), dtype=torch.float32, device=query.device)
    k_scale, v_scale = kv_scales
    launch: Any = _attend[(heads, documents, splits)]
    launch(
        query,
        keys,
        values,
        out,
        partial,
        weight,
        table,
        lengths,
        k_scale if q_scale is None else q_scale,
        k_scale,
        v_scale,
        scale * LOG2_E,
        window or (1 << 30),
        query.stride(0),
        out.stride(0),
        table.stride(0),
        keys.stride(0),
        keys.stride(1),
        keys.stride(2),
        HEADS=heads,
        GROUP=heads // keys.shape[2],
        PAGE=keys.shape[1],
        DIM=head_dim,
        TOKENS=TILE // head_dim,
        SPLITS=splits,
        SCALED=q_scale is not None,
        num_warps=1,
    )
    if splits > 1:
        merge: Any = _merge[(heads, documents)]
        merge(partial, weight, out, v_scale, out.stride(0), HEADS=heads, DIM=head_dim, SPLITS=splits, num_warps=1)
