"""Whether an image works on this machine: its Python, its device, its engine and that engine's kernels.

No network and no model: every experiment runs through its own adapter on a tiny synthetic model, and every converter
that the image is there for quantises that model.
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipeline import codec
from pipeline.analysis.failures import UNKNOWN, classify, load_signatures, read_tail
from pipeline.catalog import CONFIG, Catalog, read_entries
from pipeline.documents import fingerprint
from pipeline.entries import Experiment, Gpu, Image, Prompt, Variant
from pipeline.figures import printable
from pipeline.files import read_json, write_json
from pipeline.gpus import DetectedGpu, detect_gpus
from pipeline.hardware import AUTO, CPU, Hardware, choose_hardware
from pipeline.jobs import make_job
from pipeline.machine import usable_cores
from pipeline.plan import Request, Selected, Skipped, select
from pipeline.spec import HostFacts, Job, JobGpu, Workload
from pipeline.worker import synthetic
from pipeline.worker.rates import has_torch, measure
from pipeline.worker.synthetic.trial import DOCUMENTS, JOB_FILE, OUTCOME_FILE, Outcome

NEW_TOKENS = 8
TERA, GIGA = 1e12, 1e9
LIMIT_S = 300.0
"""How long one experiment may take before it is killed."""
TRIAL = (sys.executable, "-m", "pipeline.worker.synthetic.trial")
"""The command that tries one experiment out; its arguments follow."""
CONVERSION = (sys.executable, "-m", "pipeline.worker.synthetic.conversion")
"""The same for a converter."""


@dataclass(frozen=True)
class Finding:
    """What a check found. fix: how to mend what failed."""

    status: Literal["ok", "skip", "FAIL"]
    text: str
    fix: str | None = None


@dataclass(frozen=True)
class Lighter:
    """An entry of self_check.yaml. name: a backend. options: what replaces those of its experiments."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def run(
    image: Image,
    variant: Variant,
    experiments: Sequence[Experiment],
    converters: Sequence[str] = (),
    *,
    measured: bool = False,
) -> int:
    """Print one line a check, with its seconds; the exit status: 0 if all hold, 1 otherwise.

    experiments, converters: the image's. measured: measure the device's rates too, before an engine has used it. An
    experiment that this device can't run is skipped with the reason, which is no failure; what breaks leaves its log on
    standard error and does not keep the next from being tried.
    """
    gpus = detect_gpus() if variant.device == "cuda" else []
    hardware = hardware_of(variant, gpus)
    checks: list[tuple[str, Callable[[], Finding]]] = [("python", partial(check_python, variant))]
    if variant.device == "cuda":
        checks.append(("gpu", partial(check_gpu, gpus)))
    if hardware.driver is not None:
        checks.append(("driver", partial(check_driver, variant, hardware.driver)))
    if measured:
        checks.append(("rates", partial(check_rates, hardware, gpus)))
    with tempfile.TemporaryDirectory(prefix="self-check-") as folder:
        for item in selected(image, variant, experiments, hardware):
            checks.append((item.experiment.name, partial(check_experiment, item, hardware, Path(folder))))
        for name in converters:
            checks.append((name, partial(check_converter, name, Path(folder))))
        held = [_report(name, check) for name, check in checks]
    return 0 if all(held) else 1


def _report(name: str, check: Callable[[], Finding]) -> bool:
    start = time.perf_counter()
    finding = check()
    seconds = time.perf_counter() - start
    fix = f"  → {finding.fix}" if finding.fix else ""
    print(printable(f"{finding.status:<5} {name}: {finding.text}  {seconds:.1f} s{fix}"), flush=True)
    return finding.status != "FAIL"


def check_python(variant: Variant) -> Finding:
    """The interpreter must be of the minor version that the lock was resolved for."""
    found = "{}.{}".format(*sys.version_info[:2])
    if found == variant.python:
        return Finding("ok", found)
    return Finding("FAIL", f"{found}, the lock is for {variant.python}", f"build it again with Python {variant.python}")


def check_gpu(gpus: Sequence[DetectedGpu]) -> Finding:
    """NVML must list a GPU; jobs use the first."""
    if not gpus:
        fix = "see that nvidia-smi lists it on the host; a container gets it by `docker run --gpus all`"
        return Finding("FAIL", "NVML lists no NVIDIA GPU", fix)
    first = gpus[0]
    gib = first.memory_bytes / 1024**3
    others = f" (the first of {len(gpus)})" if len(gpus) > 1 else ""
    return Finding("ok", f"{first.name}{others}, {gib:.0f} GiB, compute capability {first.compute_capability}")


def check_driver(variant: Variant, driver: int) -> Finding:
    """The NVIDIA driver's major version must be recent enough for the variant's CUDA."""
    if variant.min_driver is None or driver >= variant.min_driver:
        return Finding("ok", f"NVIDIA {driver}")
    fix = "upgrade the driver on the host, or take the image's variant for an older CUDA"
    return Finding("FAIL", f"NVIDIA {driver}, variant {variant.name} needs {variant.min_driver} or newer", fix)


def check_rates(hardware: Hardware, gpus: Sequence[DetectedGpu]) -> Finding:
    """What the device moves and computes at best, as the limit of a workload takes it, beside the vendor's figures."""
    device, dtype = hardware.gpu.device, hardware.dtype
    if device == "cuda" and not has_torch():
        return Finding("skip", "needs PyTorch, which this image has not")
    found = measure(device, dtype, 8, usable_cores())
    if found is None:
        return Finding("FAIL", "the device's rates can't be measured", "see that nothing else uses its memory")
    listed = choose_hardware(
        AUTO, read_entries(Gpu, CONFIG / "gpus.yaml", "gpus"), gpus, force=False, hypothetical=False
    )
    told = []
    for what, name, unit in (
        ("memory", "bandwidth_bytes_per_s", "B/s"),
        (dtype, "flops_per_s", "FLOP/s"),
        ("8 bits", "flops8_per_s", "FLOP/s"),
    ):
        told.append(_rate(what, getattr(found, name), getattr(listed.gpu.rates, name, None), unit))
    return Finding("ok", ", ".join(filter(None, told)))


def _rate(what: str, found: float | None, listed: float | None, unit: str) -> str | None:
    """As "memory 2.9 TB/s (87% of the listed 3.35)"; None where it can't be told."""
    if found is None:
        return None
    prefix, size = ("T", TERA) if (listed or found) >= TERA else ("G", GIGA)
    share = f" ({found / listed:.0%} of the listed {listed / size:.4g})" if listed else ""
    return f"{what} {found / size:.3g} {prefix}{unit}{share}"


def hardware_of(variant: Variant, gpus: Sequence[DetectedGpu]) -> Hardware:
    """The device that the variant is for, as the orchestrator would choose it."""
    if variant.device == "cuda" and not gpus:
        # A GPU that can do anything: nothing is skipped, and each engine says itself how far it comes without one.
        return Hardware(JobGpu("none", "no GPU", "cuda"), "float16", compute_capability=math.inf, present=False)
    return choose_hardware(AUTO if gpus else CPU, {}, gpus, force=False, hypothetical=False)


def selected(
    image: Image, variant: Variant, experiments: Sequence[Experiment], hardware: Hardware
) -> list[Selected | Skipped]:
    """The experiments as the orchestrator would select them, were there this variant and the synthetic model alone."""
    lighter = read_entries(Lighter, CONFIG / "self_check.yaml", "backends")
    catalog = Catalog(
        experiments={item.name: _lighten(item, lighter.get(item.backend)) for item in experiments},
        models={},
        gpus={},
        prompts={},
        defaults={},
        images={image.name: replace(image, variants=(variant,))},
    )
    return select(list(catalog.experiments), catalog, synthetic.MODEL, hardware, lambda *_: None)


def _lighten(experiment: Experiment, lighter: Lighter | None) -> Experiment:
    return replace(experiment, options={**experiment.options, **lighter.options}) if lighter else experiment


def check_experiment(item: Selected | Skipped, hardware: Hardware, folder: Path) -> Finding:
    """Try the experiment in a process of its own, in a folder of its own under folder."""
    if isinstance(item, Skipped):
        return Finding("skip", item.reason)
    own = folder / item.experiment.name
    own.mkdir()
    write_json(own / JOB_FILE, codec.encode(make_trial_job(item, hardware)))
    weights = item.experiment.weights
    return _try([*TRIAL, str(own), *([weights] if weights else [])], own)


def check_converter(name: str, folder: Path) -> Finding:
    """Let a converter quantise the synthetic model in a process of its own, in a folder of its own under folder."""
    own = folder / name
    own.mkdir()
    return _try([*CONVERSION, str(own), name], own)


def _try(command: Sequence[str], own: Path) -> Finding:
    """Run a command that leaves an Outcome in the folder `own`."""
    log = own / "log.txt"
    status = _call(command, log)
    if status == 0:
        outcome = codec.decode(Outcome, read_json(own / OUTCOME_FILE), str(own / OUTCOME_FILE))
        if outcome.fault is None:
            return Finding("ok", outcome.detail)
        return Finding("FAIL", outcome.fault, outcome.fix)
    text = read_tail(log)
    print(printable(text), file=sys.stderr, flush=True)
    if status is None:
        return Finding("FAIL", f"not done within {LIMIT_S:.0f} s", "see on standard error what it did last")
    # after a traceback Python ends with 1, which says nothing more
    found = classify(text, load_signatures(), exit_status=None if status == 1 else status)
    line = " | ".join(found.line.splitlines())
    if found.class_ == UNKNOWN:
        return Finding("FAIL", f"{UNKNOWN}: {line}", "its log is on standard error")
    return Finding("FAIL", f"{found.class_}: {line}", f"{found.cause}: {found.fix}")


def make_trial_job(item: Selected, hardware: Hardware) -> Job:
    """The job that the orchestrator would make of the experiment, but for its weights, which the trial makes."""
    workload = Workload(
        dataset="synthetic",
        documents="synthetic.jsonl",
        documents_sha256=fingerprint(DOCUMENTS),
        docs=len(DOCUMENTS),
        seed=0,
        prompt=Prompt("synthetic", "{document}"),
        max_new_tokens=NEW_TOKENS,
    )
    request = Request("self-check", "offline", len(DOCUMENTS), workload, synthetic.MODEL, launcher="self-check")
    return make_job(item, request, hardware, None, HostFacts())


def _call(command: Sequence[str], log: Path) -> int | None:
    """The exit status of a command in a process group of its own, which ends with it; None after LIMIT_S seconds."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            return process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):  # usually nothing is left of the group
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
