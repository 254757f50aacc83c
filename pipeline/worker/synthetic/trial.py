"""One experiment tried out on the synthetic model in a process of its own, so that a crash of an engine ends no more.

`python -m pipeline.worker.synthetic.trial FOLDER [FORMAT]` reads FOLDER/job.json and leaves an Outcome in
FOLDER/outcome.json, or a traceback of what the engine raised. FORMAT: of the weights, none where no model runs.
"""

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from pipeline import codec
from pipeline.documents import Document
from pipeline.files import read_json, write_json
from pipeline.spec import Job
from pipeline.worker import synthetic
from pipeline.worker.backend import Backend, Completion, MemoryUse, Request, Settings, create_backend
from pipeline.worker.requests import build_requests
from pipeline.worker.runner import Roots, make_setup
from pipeline.worker.synthetic import llama
from pipeline.worker.telemetry import DeviceMeter, device_meter

# Of different lengths, so that an engine has to pad or to pack them.
DOCUMENTS = (
    Document("short", "Boil the water.", "Boil."),
    Document("long", "Warm the pot first. Then let the tea stand for four minutes and pour it.", "Make tea."),
)
JOB_FILE = "job.json"
OUTCOME_FILE = "outcome.json"
MIB = 1024**2

WRONG_OUTPUT = "its kernels do not work on this device: take another variant of the image, or another version of it"
WRONG_DEVICE = "the engine fell back to the CPU, or NVML can't see its GPU: take the image's variant for this GPU"
WRONG_REPORT = "the engine ignores what it is asked for: take the version that the image's lock names"


@dataclass(frozen=True)
class Outcome:
    """fault: what did not hold, with its fix; both None where all held. detail: what was seen, in words."""

    detail: str = ""
    fault: str | None = None
    fix: str | None = None


class Fault(Exception):
    """The engine ran, but not as it should."""

    def __init__(self, fault: str, fix: str = WRONG_OUTPUT) -> None:
        super().__init__(fault)
        self.fix = fix


def try_out(job: Job, form: str | None, folder: Path) -> Outcome:
    """Load the job's engine on the synthetic model, generate twice and look at all that it tells.

    form: the format of weights to write into folder, None for a job without a model. Passes on what the engine raises.
    """
    unused = Path()  # the documents are at hand and no result is written
    setup = dataclasses.replace(
        make_setup(job, Roots(unused, unused, unused), DOCUMENTS),
        weights=synthetic.write(form, folder) if form else None,
    )
    try:
        with ExitStack() as stack:
            meter = stack.enter_context(device_meter(job.gpu.device))
            backend = stack.enter_context(closing(create_backend(job.backend, setup)))
            backend.load()
            risen = check_device_memory(job, meter)
            requests = list(build_requests(backend, DOCUMENTS, job.workload, job.model))
            tokens = check_generation(backend, requests, job)
            settings, memory = backend.settings(), backend.memory()
            if job.model is not None:
                check_report(settings, memory, job, prequantized=form in synthetic.QUANTIZED)
            return Outcome(describe(tokens, settings, memory, risen))
    except Fault as fault:
        return Outcome(fault=str(fault), fix=fault.fix)


def check_device_memory(job: Job, meter: DeviceMeter) -> int | None:
    """By how many bytes the GPU's used memory rose while loading, which it must; None on a CPU."""
    if job.gpu.device == "cpu":
        return None
    risen = meter.used_bytes()
    if risen is None or risen <= 0:
        raise Fault(
            f"the GPU's used memory {'is unknown' if risen is None else 'did not rise'} after loading", WRONG_DEVICE
        )
    return risen


def check_generation(backend: Backend, requests: Sequence[Request], job: Job) -> int:
    """Generate twice, the second time without watching the steps, and compare; the number of tokens generated."""
    first = _by_id(backend.generate(requests, lambda tokens: None), requests)
    for request in requests:
        _check_completion(first[request.id], job)
    for request_id, again in _by_id(backend.generate(requests), requests).items():
        if (again.output_ids, again.text) != (first[request_id].output_ids, first[request_id].text):
            raise Fault(f"greedy decoding gave {first[request_id].output_ids}, then {again.output_ids}")
    return sum(len(completion.output_ids or ()) for completion in first.values())


def _by_id(completions: Iterable[Completion], requests: Sequence[Request]) -> Mapping[str, Completion]:
    listed = list(completions)
    if sorted(completion.id for completion in listed) != sorted(request.id for request in requests):
        raise Fault(
            f"{len(requests)} requests came back as {', '.join(completion.id for completion in listed) or 'none'}"
        )
    return {completion.id: completion for completion in listed}


def _check_completion(completion: Completion, job: Job) -> None:
    if not completion.text.strip():
        raise Fault(f"request {completion.id!r} came back without text")
    if job.model is None:
        return
    ids = completion.output_ids or ()
    asked = job.workload.max_new_tokens
    if len(ids) != asked and not (0 < len(ids) < asked and ids[-1] in job.model.eos_ids):
        raise Fault(f"request {completion.id!r} came back with {len(ids)} tokens, {asked} were asked for")
    if not all(0 <= number < llama.VOCABULARY_SIZE for number in ids):
        raise Fault(f"request {completion.id!r} came back with ids outside the vocabulary: {ids}")


def check_report(settings: Settings, memory: MemoryUse, job: Job, *, prequantized: bool) -> None:
    """settings() and memory() must fit what was asked. prequantized: the weights came quantised."""
    if settings.dtype != job.dtype:
        raise Fault(f"asked for {job.dtype}, it says that it runs in {settings.dtype}", WRONG_REPORT)
    if prequantized and settings.quantization is None:
        raise Fault("the weights are quantised, it says that they are not", WRONG_REPORT)
    if settings.batch_size_used not in (None, len(DOCUMENTS)):
        raise Fault(f"asked for {len(DOCUMENTS)} documents a step, it took {settings.batch_size_used}", WRONG_REPORT)
    size = memory.weights_bytes
    # from 2 bits to 8 bytes a parameter: anything else is not this model's size
    if size is not None and not llama.PARAMETERS / 4 < size < llama.PARAMETERS * 8:
        raise Fault(f"it says that {llama.PARAMETERS} parameters take {size} bytes", WRONG_REPORT)


def describe(tokens: int, settings: Settings, memory: MemoryUse, risen: int | None) -> str:
    """For a reader: "16 tokens, float16, bitsandbytes nf4, sdpa, weights 0.9 MiB, GPU memory +512 MiB"."""
    parts = [
        f"{tokens} tokens" if tokens else "no model",
        *filter(None, (settings.dtype, settings.quantization, settings.attention)),
        *([f"weights {memory.weights_bytes / MIB:.1f} MiB"] if memory.weights_bytes is not None else []),
        *([f"GPU memory +{risen / MIB:.0f} MiB"] if risen is not None else []),
    ]
    return ", ".join(parts)


def main(argv: Sequence[str]) -> None:
    """See the module."""
    folder, form = Path(argv[0]), argv[1] if len(argv) > 1 else None
    job = codec.decode(Job, read_json(folder / JOB_FILE), str(folder / JOB_FILE))
    weights = folder / "weights"
    weights.mkdir()
    write_json(folder / OUTCOME_FILE, codec.encode(try_out(job, form, weights)))


if __name__ == "__main__":  # engines that spawn processes import this module again
    main(sys.argv[1:])
