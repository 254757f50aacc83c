"""The synthetic model itself: its sizes, tensors, vocabulary and random numbers, whatever file they go into."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

SEED = 0
LAYERS = 2
# Multiples of 256, a block of GGUF's K-quants; all widths are multiples of 128, a group of AWQ.
HIDDEN = 256
FEED_FORWARD = 512
HEADS = 4
KV_HEADS = 2
HEAD_SIZE = HIDDEN // HEADS
CONTEXT_LENGTH = 512
NORM_EPSILON = 1e-5
ROPE_THETA = 10000.0

UNKNOWN_ID, BOS_ID, EOS_ID = 0, 1, 2
SPECIAL_TOKENS = ("<unk>", "<s>", "</s>")
VOCABULARY_SIZE = len(SPECIAL_TOKENS) + 256
# Keeps activations near 1 through a layer, and the best two logits far enough apart for low precision.
DEVIATION = 1 / math.sqrt(HIDDEN)


@dataclass(frozen=True)
class Tensor:
    """One tensor of ones (shape [n]: a norm) or of random numbers (shape [out, in]), by its name in either format.

    rows: those that are random; the others are zero.
    """

    hf: str
    gguf: str
    shape: tuple[int, ...]
    rows: range

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def _matrix(hf: str, gguf: str, rows: int, columns: int) -> Tensor:
    return Tensor(f"{hf}.weight", f"{gguf}.weight", (rows, columns), range(rows))


def _norm(hf: str, gguf: str) -> Tensor:
    return Tensor(f"{hf}.weight", f"{gguf}.weight", (HIDDEN,), range(0))


def _layer(number: int) -> list[Tensor]:
    hf, gguf = f"model.layers.{number}", f"blk.{number}"
    return [
        _norm(f"{hf}.input_layernorm", f"{gguf}.attn_norm"),
        _matrix(f"{hf}.self_attn.q_proj", f"{gguf}.attn_q", HIDDEN, HIDDEN),
        _matrix(f"{hf}.self_attn.k_proj", f"{gguf}.attn_k", KV_HEADS * HEAD_SIZE, HIDDEN),
        _matrix(f"{hf}.self_attn.v_proj", f"{gguf}.attn_v", KV_HEADS * HEAD_SIZE, HIDDEN),
        _matrix(f"{hf}.self_attn.o_proj", f"{gguf}.attn_output", HIDDEN, HIDDEN),
        _norm(f"{hf}.post_attention_layernorm", f"{gguf}.ffn_norm"),
        _matrix(f"{hf}.mlp.gate_proj", f"{gguf}.ffn_gate", FEED_FORWARD, HIDDEN),
        _matrix(f"{hf}.mlp.up_proj", f"{gguf}.ffn_up", FEED_FORWARD, HIDDEN),
        _matrix(f"{hf}.mlp.down_proj", f"{gguf}.ffn_down", HIDDEN, FEED_FORWARD),
    ]


def token_id(byte: int) -> int:
    """The id of the token that is this one byte."""
    return len(SPECIAL_TOKENS) + byte


# The head answers with printable ASCII alone: half of a UTF-8 character would be no text at all.
PRINTABLE_IDS = range(token_id(ord("!")), token_id(ord("~")) + 1)
TENSORS: Sequence[Tensor] = (
    _matrix("model.embed_tokens", "token_embd", VOCABULARY_SIZE, HIDDEN),
    *(tensor for number in range(LAYERS) for tensor in _layer(number)),
    _norm("model.norm", "output_norm"),
    Tensor("lm_head.weight", "output.weight", (VOCABULARY_SIZE, HIDDEN), PRINTABLE_IDS),
)
PARAMETERS = sum(tensor.size for tensor in TENSORS)


def random_bytes(tensor: Tensor, count: int) -> bytes:
    """Bytes to make a tensor's numbers from, the same at each call."""
    return random.Random(f"{SEED}:{tensor.hf}").randbytes(count)


def normal_levels() -> list[float]:
    """What each value of a random byte stands for: 256 numbers spread like a normal distribution."""
    normal = NormalDist(0, DEVIATION)
    return [normal.inv_cdf((value + 0.5) / 256) for value in range(256)]


def vocabulary() -> list[str]:
    """Every token's text, by id: the special ones, then all bytes, each as the character that byte-level BPE writes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    stand_ins = iter(range(256, 512))  # characters for the bytes that are spaces, controls or no character
    return [*SPECIAL_TOKENS, *(chr(byte if byte in plain else next(stand_ins)) for byte in range(256))]
