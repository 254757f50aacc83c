"""The size of llama.cpp's KV cache by the model's shape, against what llama.cpp logs of it."""

from tests.worker.conftest import Inside, inside

__all__ = ["inside"]

MIB = 1024**2

CODE = """
import json
import xllamacpp
from pipeline.entries import Attention
from pipeline.worker.backends.llama_cpp import kv_cache_bytes

gemma = Attention(layers=18, kv_heads=1, head_dim=256, windowed_layers=15, window=512)
params = xllamacpp.CommonParams()
params.n_parallel, params.n_ctx, params.n_ubatch = 3, 3 * 1536, 512
found = [kv_cache_bytes(gemma, params), kv_cache_bytes(None, params)]
full = Attention(layers=18, kv_heads=1, head_dim=256)
whole = kv_cache_bytes(full, params)
for name in ("swa_full", "kv_unified"):
    setattr(params, name, True)
    found += [kv_cache_bytes(gemma, params), kv_cache_bytes(full, params) == whole]
    setattr(params, name, False)
params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_Q5_1
print(json.dumps([*found, kv_cache_bytes(gemma, params)]))
"""


def test_it_is_what_llama_cpp_logs_and_unknown_without_a_shape_or_for_another_type(inside: Inside) -> None:
    """Logged for these settings: 13.50 MiB for 3 layers of 1536 cells and 45.00 MiB for 15 layers of 1024 cells."""
    known, unknown_shape, *changed, other_type = inside("llama-cpp", CODE)
    assert [known, unknown_shape, other_type] == [58.5 * MIB, None, None]
    assert changed == [None, True] * 2  # options that change the layers with a window, and those alone
