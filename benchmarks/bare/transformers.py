"""Hugging Face transformers by itself: `model.generate` over one padded batch after another.

Settings of PyTorch, transformers and bitsandbytes are the job's, since the pipeline's adapter only passes them on: the
attention, quantisation, no cuDNN attention, inference mode, bitsandbytes' message a layer and step kept silent. Of the
pipeline there is nothing: no stopping criterion that reports tokens, no KV cache handed back, no texts.
"""

import logging
from collections.abc import Sequence
from typing import Any

from pipeline.measures import UsedSettings
from pipeline.worker.backend import Request, Setup

PLAIN = frozenset(("attention", "quantization"))
"""Options that a plain generate() takes too."""


def create(setup: Setup, used: UsedSettings) -> "BareTransformers":
    """The model, loaded. SystemExit for a job that batches or compiles in a way that a plain generate() doesn't."""
    if other := setup.options.keys() - PLAIN:
        raise SystemExit(f"a plain generate() is no measure of a job with option {', '.join(sorted(other))}")
    return BareTransformers(setup, used.batch_size_used or setup.batch_size or 1)


class BareTransformers:
    """See BareEngine. batch_size: the one that the job ended with, which may have been searched for or lowered."""

    def __init__(self, setup: Setup, batch_size: int) -> None:
        import torch
        import transformers

        torch.backends.cuda.enable_cudnn_sdp(False)
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        self._batch_size, self._eos_ids = batch_size, setup.eos_ids
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(setup.weights, padding_side="left")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model = transformers.AutoModelForCausalLM.from_pretrained(
            setup.weights,
            dtype=setup.dtype,
            device_map=setup.device,
            attn_implementation=setup.options.get("attention"),
            quantization_config=quantization_config(setup),
        )
        self._model.generation_config = transformers.GenerationConfig(
            do_sample=False, eos_token_id=list(setup.eos_ids) or None, pad_token_id=self._tokenizer.pad_token_id
        )

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        return [self._tokenizer.encode(prompt, add_special_tokens=False) for prompt in prompts]

    def prepare(self, requests: Sequence[Request]) -> Any:
        """Batches of prompts, the longest first, and how many new tokens each gets."""
        prompts = sorted((list(request.prompt_ids) for request in requests), key=len, reverse=True)
        batches = [prompts[start : start + self._batch_size] for start in range(0, len(prompts), self._batch_size)]
        new = requests[0].max_new_tokens
        return batches, {"max_new_tokens": new, "min_new_tokens": new if requests[0].full_length else None}

    def generate(self, prepared: Any) -> Sequence[Sequence[int]]:
        """With padding and the copies to the device and back, which a user has too."""
        import torch

        batches, lengths = prepared
        outputs: list[list[int]] = []
        with torch.inference_mode():
            for batch in batches:
                inputs = self._tokenizer.pad({"input_ids": batch}, return_tensors="pt").to(self._model.device)
                ids = self._model.generate(**inputs, **lengths)
                outputs.extend(ids[:, inputs["input_ids"].shape[1] :].tolist())
        return [self._until_end(new_ids) for new_ids in outputs]

    def _until_end(self, new_ids: Sequence[int]) -> Sequence[int]:
        """Without the padding behind a row that ended before others of its batch."""
        ends = [position for position, token in enumerate(new_ids) if token in self._eos_ids]
        return new_ids[: ends[0] + 1] if ends else new_ids


def quantization_config(setup: Setup) -> Any:
    """BitsAndBytesConfig of the experiment's option, 4-bit layers computing in the job's dtype; None without one."""
    options = setup.options.get("quantization")
    if options is None:
        return None
    import transformers

    compute = {"bnb_4bit_compute_dtype": setup.dtype} if options.get("load_in_4bit") else {}
    return transformers.BitsAndBytesConfig(**(compute | dict(options)))
