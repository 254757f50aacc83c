"""vLLM's FlashAttention backend with another kernel for decoding steps, as an attention backend of its own.

vLLM takes it where an experiment's options say `attention_config: {backend: CUSTOM}`, the name that it keeps for
backends from outside; the worker module tells it which. Steps that read prompts are FlashAttention's.
"""

from typing import Any

import torch
from vllm.v1.attention.backend import AttentionType
from vllm.v1.attention.backends.flash_attn import FlashAttentionBackend, FlashAttentionImpl, FlashAttentionMetadata

from pipeline.worker.backends.vllm import kernel

NO_WINDOW = (-1, -1)


class SingleQueryImpl(FlashAttentionImpl):  # type: ignore[misc]
    """FlashAttention, but for a step in which every document asks for its next token alone."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        causal = self.sliding_window == NO_WINDOW or self.sliding_window[1] == 0
        self._suits = (
            causal
            and self.attn_type == AttentionType.DECODER
            and kernel.can_attend(self.head_size)
            and self.alibi_slopes is None
            and not self.logits_soft_cap
            and self.sinks is None
        )

    def forward(
        self,
        layer: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: FlashAttentionMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As FlashAttentionImpl.forward, which does what this can't.

        query, output: (tokens, heads, head_dim). kv_cache: (2, pages, page, kv_heads, head_dim).
        """
        step = attn_metadata
        if (
            step is None
            or not self._suits
            or step.max_query_len != 1
            or step.use_cascade
            or self.dcp_world_size > 1
            or output_scale is not None
            or output_block_scale is not None
        ):
            return super().forward(layer, query, key, value, kv_cache, step, output, output_scale, output_block_scale)
        keys, values = kv_cache.unbind(0)
        if self.kv_cache_dtype.startswith("fp8"):
            keys, values = keys.view(torch.float8_e4m3fn), values.view(torch.float8_e4m3fn)
        documents = step.num_actual_tokens
        window = None if self.sliding_window == NO_WINDOW else self.sliding_window[0] + 1
        kernel.attend(
            query[:documents],
            keys,
            values,
            output[:documents],
            step.block_table,
            step.seq_lens,
            self.scale,
            # a query is in 8 bits only where the layer made it so, by this scale
            layer._q_scale if query.dtype == torch.float8_e4m3fn else None,
            (layer._k_scale, layer._v_scale),
            window,
        )
        return output


class SingleQueryBackend(FlashAttentionBackend):  # type: ignore[misc]
    """What vLLM's registry has as CUSTOM."""

    @staticmethod
    def get_name() -> str:
        return "CUSTOM"

    @staticmethod
    def get_impl_cls() -> type[SingleQueryImpl]:
        return SingleQueryImpl
