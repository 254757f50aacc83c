"""An experiment's options in the engine's own terms, and what a loaded model says of them."""

import inspect
from collections.abc import Mapping
from typing import Any

from pipeline.entries import Sampling
from pipeline.worker.backend import Setup

OPTIONS = ("attention", "quantization", "compile", "paged")
ATTENTIONS = ("sdpa", "flash_attention_2", "flash_attention_4", "eager")


def check_options(options: Mapping[str, Any]) -> None:
    """ValueError for an option or an attention that the adapter doesn't know, and for two that exclude each other."""
    for name in options:
        if name not in OPTIONS:
            raise ValueError(f"option {name!r} is unknown to the transformers adapter; it takes {', '.join(OPTIONS)}")
    attention = options.get("attention")
    if attention not in (None, *ATTENTIONS):
        raise ValueError(f"option 'attention': {attention!r} is unknown; one of {', '.join(ATTENTIONS)}")
    for name in ("compile", "paged"):
        if not isinstance(options.get(name, {}), Mapping):
            raise ValueError(f"option {name!r}: expected names and values of arguments, found {options[name]!r}")
    if "compile" in options and "paged" in options:
        raise ValueError("options 'compile' and 'paged' exclude each other: continuous batching has no static cache")


def sampling_arguments(sampling: Sampling) -> dict[str, Any]:
    """What GenerationConfig says of it: every field, since for one that is missing transformers has its own."""
    if sampling.strategy == "greedy":
        return {"do_sample": False}
    top_p = 1.0 if sampling.top_p is None else sampling.top_p
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": top_p, "top_k": sampling.top_k or 0}


def quantization_label(config: Mapping[str, Any] | None) -> str | None:
    """A quantization_config, as the loaded model tells it, in words; None where nothing is quantised."""
    if config is None:
        return None
    if config.get("load_in_4bit"):
        return f"bitsandbytes {config['bnb_4bit_quant_type']}"
    return "bitsandbytes int8" if config.get("load_in_8bit") else str(config["quant_method"])


def quantization_arguments(options: Mapping[str, Any], dtype: str) -> dict[str, Any] | None:
    """The quantization option with the dtype that 4-bit layers compute in, which would be float32 by default."""
    asked: Mapping[str, Any] | None = options.get("quantization")
    if asked is None:
        return None
    return ({"bnb_4bit_compute_dtype": dtype} if asked.get("load_in_4bit") else {}) | dict(asked)


def bitsandbytes_config(setup: Setup) -> Any:
    """BitsAndBytesConfig of the quantization option, or None. ValueError for an argument that it would ignore."""
    arguments = quantization_arguments(setup.options, setup.dtype)
    if arguments is None:
        return None
    import transformers

    known = inspect.signature(transformers.BitsAndBytesConfig).parameters
    for name in arguments:
        if name not in known:
            raise ValueError(f"option 'quantization': {name!r} is unknown to BitsAndBytesConfig")
    return transformers.BitsAndBytesConfig(**arguments)
