"""Perplexity on held-out text: exp of the mean negative log-likelihood per predicted token."""

import math
from collections.abc import Sequence
from typing import Any

from pipeline.errors import BenchmarkError

DOCUMENTS = 8
WINDOW_TOKENS = 256


def perplexity(model: Any, tokenizer: Any, texts: Sequence[str], bos_id: int | None) -> float | None:
    """Of a transformers causal model over the first tokens of some texts, pooled over tokens; None without texts.

    Each text's first WINDOW_TOKENS tokens, BOS included, are read in one go; all but the first are predicted.
    """
    import torch

    start = [] if bos_id is None else [bos_id]
    loss, predicted = 0.0, 0
    for text in texts[:DOCUMENTS]:
        ids = (start + tokenizer.encode(text, add_special_tokens=False))[:WINDOW_TOKENS]
        tokens = torch.tensor([ids])
        with torch.inference_mode():
            logits = model(tokens).logits[0, :-1].float()
        loss += float(torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum"))
        predicted += len(ids) - 1
    return from_loss(loss / predicted) if predicted else None


def from_loss(loss: float) -> float:
    """The perplexity of a mean loss in nats; infinite where it is too large for a float, NaN for NaN."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def check_perplexity(before: float | None, after: float | None, worst_ratio: float = math.inf) -> None:
    """A BenchmarkError for a checkpoint that is broken: one of infinite perplexity or NaN, or of too large a one.

    before: the original's. worst_ratio: a checkpoint may have so many times that.
    """
    if before is None or after is None:
        return
    if not (math.isfinite(before) and math.isfinite(after) and after <= worst_ratio * before):
        limit = "" if worst_ratio == math.inf else f"; above {worst_ratio:g} times it is not kept"
        raise BenchmarkError(f"the quantised model is broken: perplexity {after:.1f}, {before:.1f} before{limit}")
