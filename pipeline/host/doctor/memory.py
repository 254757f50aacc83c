"""Each experiment's memory estimate against what the device has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis.memory import Estimate, estimate, lengths
from pipeline.entries import Footprint, Model
from pipeline.figures import gib
from pipeline.hardware import Hardware
from pipeline.jobs import effective_batch_size, settings_on
from pipeline.machine import memory_bytes
from pipeline.plan import Request, Selected
from pipeline.spec import Check

CLOSE = 0.9
"""The share of the room from which on an estimate is too near to be trusted."""

MEMINFO = Path("/proc/meminfo")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

NO_ROOM = "take quantised weights (4-bit, AWQ, GGUF), a smaller model, or a device with more memory"
MENDS = {
    "grows": "lower --batch-size or --max-new-tokens, or take quantised weights",
    "slots": "lower --batch-size or --max-new-tokens, or leave out the longest documents",
    "pool": "lower --max-new-tokens, leave out the longest documents, or take quantised weights",
}


@dataclass(frozen=True)
class Memory:
    """Of the device. sizes: one where it is known, those that its kind is sold with where it is only named.

    used_bytes: by others, now.
    """

    sizes: tuple[int, ...]
    used_bytes: int = 0


def main_memory() -> Memory:
    """What this machine has, or this container may use; no size where the system doesn't tell."""
    total = memory_bytes()
    if total is None:
        return Memory(())
    limit = _read(CGROUP_LIMIT)
    fields = dict(line.split(":", 1) for line in _read(MEMINFO).splitlines() if ":" in line)
    available = int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else total
    return Memory((min(total, int(limit)) if limit.isdigit() else total,), max(0, total - available))


def memory_checks(
    planned: Sequence[Selected],
    hardware: Hardware,
    memory: Memory,
    request: Request | None,
    opened_bytes: Mapping[tuple[str, str], int],
) -> list[Check]:
    """A line for each experiment with a model. request: theirs; None for documents that aren't there yet.

    opened_bytes: of the weights that are prepared, by model and format.
    """
    return [
        _check(
            item,
            item.model,
            item.experiment.weights,
            hardware,
            memory,
            request,
            opened_bytes.get((item.model.name, item.experiment.weights)),
        )
        for item in planned
        if item.model is not None and item.experiment.weights is not None
    ]


def _check(
    item: Selected,
    model: Model,
    form: str,
    hardware: Hardware,
    memory: Memory,
    request: Request | None,
    opened_bytes: int | None,
) -> Check:
    experiment = item.experiment
    _, dtype, batch_size = settings_on(experiment, hardware)
    longest = None
    if request is not None and request.longest_document_bytes is not None:
        workload = request.workload
        longest = lengths(request.longest_document_bytes, workload.prompt, model, workload.max_new_tokens)
        batch_size = effective_batch_size(experiment, batch_size, request)
    found = estimate(
        model,
        model.weights[form],
        experiment.memory,
        dtype,
        batch_size,
        longest,
        hardware.gpu.device,
        opened_bytes,
        experiment.needs.gpus,
    )
    if found is None:
        message = f"models.yaml gives no shape of {model.name} (linear_parameters, attention)"
        return Check("memory", item.title, "unknown", message)
    if not memory.sizes:
        return Check("memory", item.title, "unknown", f"{_parts(found)}; the device's size can't be told")
    return judge(item.title, found, memory, experiment.memory)


def judge(name: str, found: Estimate, memory: Memory, footprint: Footprint) -> Check:
    """Fails only where it can't possibly fit; warns where it is close, or others are in the way."""
    share = "" if found.gpu_share == 1 else f"the engine's {found.gpu_share:.0%} of "
    sizes = " or ".join(gib(size) for size in memory.sizes)
    largest = max(memory.sizes) * found.gpu_share
    if found.least_bytes > largest:
        alone = found.least_bytes == found.weights_bytes
        what = "the weights alone" if alone else "the weights and the longest request's KV cache"
        message = f"{what} take {gib(found.least_bytes)} GiB, more than {share}{sizes} GiB"
        return Check("memory", name, "fail", message, NO_ROOM, (name,))
    smallest = min(memory.sizes)
    room = min(smallest * found.gpu_share, smallest - memory.used_bytes)
    message = f"estimate {gib(found.likely_bytes)} GiB of {share}{sizes} GiB: {_parts(found)}"
    if found.likely_bytes > CLOSE * room:
        used = f"; {gib(memory.used_bytes)} GiB are in use by others" if memory.used_bytes else ""
        return Check("memory", name, "warn", f"may not fit: {message}{used}", MENDS[footprint.kv_cache])
    return Check("memory", name, "unknown" if found.kv_cache_bytes is None else "pass", message)


def _parts(found: Estimate) -> str:
    if found.kv_cache_bytes is None:
        return f"weights {gib(found.weights_bytes)}; its documents aren't here to tell the KV cache by"
    return f"weights {gib(found.weights_bytes)}, KV cache {gib(found.kv_cache_bytes)}, the rest assumed"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
