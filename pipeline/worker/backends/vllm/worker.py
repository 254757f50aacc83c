"""What is added to vLLM's worker (worker_extension_cls), which on a GPU lives in a process of its own."""

from collections.abc import Sequence
from typing import Any

from vllm.platforms import current_platform

from pipeline.worker.backends.vllm.adapter import compile_seconds

if current_platform.is_cuda():
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    # by its name, which is imported where it is chosen
    register_backend(AttentionBackendEnum.CUSTOM, "pipeline.worker.backends.vllm.attention.SingleQueryBackend")


class WorkerReport:
    """Weights and KV cache live in the worker, and so does what tells of them."""

    model_runner: Any
    vllm_config: Any

    def report_use(self) -> dict[str, Any]:
        """What the worker really holds: device, attention (backend names), weights_bytes, kv_cache_bytes, compile_s.

        weights_bytes is None where a kernel keeps a packed copy of weights that no parameter shows any more.
        """
        from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase

        parameters = list(self.model_runner.get_model().parameters())
        packed_away = any(parameter.numel() == 0 for parameter in parameters)
        layers = self.vllm_config.compilation_config.static_forward_context.values()
        attention = {layer.get_attn_backend().get_name() for layer in layers if isinstance(layer, AttentionLayerBase)}
        return {
            "device": parameters[0].device.type,
            "attention": ", ".join(sorted(attention)) or None,
            "weights_bytes": None if packed_away else _storage_bytes(parameters),
            "kv_cache_bytes": _storage_bytes(self.model_runner.kv_caches),
            "compile_s": compile_seconds(self.vllm_config.compilation_config),
        }


def _storage_bytes(tensors: Sequence[Any]) -> int:
    """Bytes of tensors (or lists of them), those that share memory counted once."""
    flat = [tensor for item in tensors for tensor in (item if isinstance(item, (list, tuple)) else [item])]
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in flat}.values())
