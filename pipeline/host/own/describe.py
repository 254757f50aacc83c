"""An entry of the catalogue from what a model's own files say: config.json and those of its tokenizer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.entries import Attention, Model, WeightsSource
from pipeline.errors import UsageError
from pipeline.host.own.shapes import Shape, count
from pipeline.host.own.template import Halves, halves
from pipeline.plain import shown

CONFIG, GENERATION, TOKENIZER, SPECIAL_TOKENS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
SMALL_FILES = (CONFIG, GENERATION, TOKENIZER, SPECIAL_TOKENS)
WHOLE_TOKENIZER = "tokenizer.json"

FOLLOWS_INSTRUCTIONS, CONTINUES_TEXTS = "published-hf", "published-vllm"
"""The prompt of a model with a chat template, and of one without."""
IMAGE = "transformers"
"""That fetches weights, as of the catalogue's models."""
ADD_BOS_UNTOLD = ("LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast")
"""Tokenizers that start a text with BOS where none of their files says whether they do."""
TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")

_NOT_ARCHITECTURE = {
    "_name_or_path", "auto_map", "bos_token_id", "dtype", "eos_token_id", "initializer_range", "pad_token_id",
    "quantization_config", "torch_dtype", "transformers_version", "unk_token_id", "use_cache",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A model's files. where: how errors name it. small: the JSON files among SMALL_FILES that it has, by name.

    whole_tokenizer: gives tokenizer.json, which is large and rarely needed; None where there is none.
    shapes: of all tensors. template: the content of TEMPLATE_FILE.
    """

    where: str
    small: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, Shape]
    template: str | None = None
    whole_tokenizer: Callable[[], Mapping[str, Any] | None] = lambda: None


def describe(found: Checkpoint, name: str, description: str, licence: str, source: WeightsSource) -> Model:
    """The entry of a causal language model whose weights `source` fetches, in the format that they are in.

    A UsageError says what of it can't be used here, or can't be told.
    """
    config = found.small.get(CONFIG)
    if config is None:
        raise UsageError(f"{found.where}: has no {CONFIG}; name a transformers model, with its configuration beside it")
    _require_causal(config, found.where)
    form, bits = _format(config, found.where)
    template = _template(found)
    tokens = _tokens(found)
    cut = halves(template, tokens, found.where) if template is not None else Halves("", "", _adds_bos(found, tokens))
    counts = count(found.shapes, bool(config.get("tie_word_embeddings", False)))
    return Model(
        name=name,
        description=description,
        licence=licence,
        context_length=_positive(config, "max_position_embeddings", found.where),
        parameters=counts.parameters,
        prompt=CONTINUES_TEXTS if template is None else FOLLOWS_INSTRUCTIONS,
        eos_ids=_eos_ids(found),
        weights={form: replace(source, bits=bits, image=IMAGE)},
        bos_id=_bos_id(found, tokens) if cut.starts_with_bos else None,
        prompt_prefix=cut.prefix,
        prompt_suffix=cut.suffix,
        linear_parameters=counts.linear or None,
        output_parameters=counts.output,
        attention=_attention(config),
        architecture={key: value for key, value in config.items() if key not in _NOT_ARCHITECTURE},
    )


def _require_causal(config: Mapping[str, Any], where: str) -> None:
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not any(str(name).endswith("ForCausalLM") for name in architectures):
        raise UsageError(
            f"{where}: {CONFIG}: architectures: {shown(architectures)} names no ...ForCausalLM; take a language model "
            "that writes text and reads nothing else"
        )


def _format(config: Mapping[str, Any], where: str) -> tuple[str, float | None]:
    """The format that its weights are in, and the bits of a parameter where they are quantised."""
    quantization = config.get("quantization_config")
    if quantization is None:
        return "hf", None
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    bits, group = (quantization.get(key) for key in ("bits", "group_size")) if method == "awq" else (None, None)
    if bits != 4 or not isinstance(group, int) or group <= 0:
        raise UsageError(
            f"{where}: {CONFIG}: quantization_config: {shown(quantization)} is read by no experiment, only AWQ of 4 "
            "bits in groups; name the model that it was made of"
        )
    return "awq", round(4 + (16 + 4) / group, 2)  # a scale and a zero point for each group


def _template(found: Checkpoint) -> str | None:
    """The one for plain conversations; the file of its own before what the tokenizer's configuration holds."""
    if found.template is not None:
        return found.template
    given = found.small.get(TOKENIZER, {}).get("chat_template")
    if isinstance(given, list):
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
        given = named.get("default")
    if given is not None and not isinstance(given, str):
        raise UsageError(f"{found.where}: {TOKENIZER}: chat_template: expected text, found {shown(given)}")
    return given


def _tokens(found: Checkpoint) -> dict[str, str]:
    """The special tokens' texts, as far as the tokenizer has them."""
    sources = (found.small.get(TOKENIZER, {}), found.small.get(SPECIAL_TOKENS, {}))
    texts = {name: next((text for text in (_text(one.get(name)) for one in sources) if text), None) for name in TOKENS}
    return {name: text for name, text in texts.items() if text}


def _text(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _adds_bos(found: Checkpoint, tokens: Mapping[str, str]) -> bool:
    """Whether the tokenizer itself starts a text with BOS, by the first of its files that says so."""
    bos = tokens.get("bos_token")
    if bos is None:
        return False
    tokenizer = found.small.get(TOKENIZER, {})
    if isinstance(told := tokenizer.get("add_bos_token"), bool):
        return told
    whole = found.whole_tokenizer()
    if whole is None:
        return tokenizer.get("tokenizer_class") in ADD_BOS_UNTOLD
    return _starts_with(whole.get("post_processor"), bos)


def _starts_with(processor: Any, bos: str) -> bool:
    """Whether a tokenizer.json's post_processor, or one in its sequence, puts that token first."""
    if not isinstance(processor, dict):
        return False
    if processor.get("type") == "Sequence":
        return any(_starts_with(one, bos) for one in processor.get("processors") or ())
    single = processor.get("single")
    first = single[0] if isinstance(single, list) and single else None
    special = first.get("SpecialToken") if isinstance(first, dict) else None
    return isinstance(special, dict) and special.get("id") == bos


def _bos_id(found: Checkpoint, tokens: Mapping[str, str]) -> int:
    """By the tokenizer, else by the model's configuration."""
    added = found.small.get(TOKENIZER, {}).get("added_tokens_decoder")
    for number, entry in added.items() if isinstance(added, dict) else ():
        if _text(entry) == tokens.get("bos_token") and str(number).isdecimal():
            return int(number)
    for name in (CONFIG, GENERATION):
        told = found.small.get(name, {}).get("bos_token_id")
        if isinstance(told, int):
            return told
    raise UsageError(f"{found.where}: {CONFIG}: bos_token_id is missing; add the id of {tokens.get('bos_token')!r}")


def _eos_ids(found: Checkpoint) -> tuple[int, ...]:
    """Those of the model's configuration and of its generation's, which chat models end a turn with."""
    ids: list[int] = []
    for name in (GENERATION, CONFIG):
        told = found.small.get(name, {}).get("eos_token_id")
        ids += [one for one in (told if isinstance(told, list) else [told]) if isinstance(one, int)]
    if not ids:
        raise UsageError(f"{found.where}: {CONFIG}: eos_token_id is missing; add the id that ends a text")
    return tuple(dict.fromkeys(ids))


def _positive(config: Mapping[str, Any], field: str, where: str) -> int:
    value = config.get(field)
    if not isinstance(value, int) or value <= 0:
        raise UsageError(f"{where}: {CONFIG}: {field}: {shown(value)} is no number of tokens; write it there")
    return value


def _attention(config: Mapping[str, Any]) -> Attention | None:
    """None where the configuration doesn't tell it in the usual terms."""
    layers, heads, hidden, kv_heads, head_dim = (
        value if isinstance(value := config.get(key), int) and value > 0 else 0
        for key in ("num_hidden_layers", "num_attention_heads", "hidden_size", "num_key_value_heads", "head_dim")
    )
    if not layers or not heads or not hidden:
        return None
    windowed, window = _windows(config, layers)
    return Attention(layers, kv_heads or heads, head_dim or hidden // heads, windowed, window)


def _windows(config: Mapping[str, Any], layers: int) -> tuple[int, int]:
    """How many layers look back no further than so many tokens."""
    window = config.get("sliding_window")
    if not isinstance(window, int) or window <= 0 or config.get("use_sliding_window") is False:
        return 0, 0
    types = config.get("layer_types")
    windowed = types.count("sliding_attention") if isinstance(types, list) else layers
    return (windowed, window) if windowed else (0, 0)
