"""Presets of published settings: whether one is whole, and fits what else there is."""

from collections.abc import Collection

from pipeline.entries import Preset, Sampling

DTYPES = ("float32", "float16", "bfloat16")


def fault_of(preset: Preset, prompts: Collection[str], experiments: Collection[str]) -> str | None:
    """What is wrong with the preset, in words, where these prompts and experiments are known; None for nothing."""
    if preset.prompt not in prompts:
        return f"prompt: there is no prompt {preset.prompt!r} in experiments.yaml"
    for name in (*preset.experiments, *preset.dtype):
        if name not in experiments:
            return f"there is no experiment {name!r} in experiments.yaml"
    if not preset.experiments:
        return "experiments: expected at least one"
    if preset.max_new_tokens < 1:
        return "max_new_tokens: expected a number above 0"
    for name, dtype in preset.dtype.items():
        if dtype not in DTYPES:
            return f"dtype: {name}: {dtype!r} is none of {', '.join(DTYPES)}"
    return _fault_of_sampling(preset.sampling)


def _fault_of_sampling(sampling: Sampling) -> str | None:
    if sampling.strategy == "greedy":
        set_all_the_same = (sampling.temperature, sampling.top_p, sampling.top_k) != (None, None, None)
        return "sampling: greedy draws nothing; leave temperature, top_p and top_k out" if set_all_the_same else None
    if sampling.temperature is None or not 0 < sampling.temperature < float("inf"):
        return "sampling: temperature: expected a number above 0"
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        return "sampling: top_p: expected a number above 0 and at most 1"
    if sampling.top_k is not None and sampling.top_k < 1:
        return "sampling: top_k: expected a number above 0"
    return None
