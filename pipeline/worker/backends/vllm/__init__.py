"""vLLM: the adapter, what it adds to vLLM's worker, and an attention kernel for decoding steps.

attention and kernel import vLLM's and Triton's modules for GPUs and are imported inside vLLM's worker alone.
"""

from pipeline.worker.backends.vllm.adapter import VllmBackend, create

__all__ = ["VllmBackend", "create"]
