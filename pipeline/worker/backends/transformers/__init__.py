"""Adapter for Hugging Face transformers: static batches of its own or compiled, or its continuous batching.

The methods import the engine, so that the pure functions can be used without it.
"""

from pipeline.worker.backend import Backend, Setup
from pipeline.worker.backends.transformers.adapter import TransformersBackend


def create(setup: Setup) -> Backend:
    """An adapter, not loaded yet. ValueError for an option that it doesn't know.

    Options: attention, one of options.ATTENTIONS (default: the engine's choice); quantization, the arguments of
    BitsAndBytesConfig (default: none), where 4-bit layers compute in the setup's dtype unless told otherwise; compile,
    the arguments of torch.compile for the decoding step, over a static cache (compiled.py); paged, the arguments of
    ContinuousBatchingConfig, to let the engine batch by itself (paged.py).
    """
    return TransformersBackend(setup)
