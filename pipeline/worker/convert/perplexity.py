"""Perplexity on held-out text: exp of the mean negative log-likelihood per predicted token."""

import math
from collections.abc import Sequence
from typing import Any

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
    return math.exp(loss / predicted) if predicted else None
