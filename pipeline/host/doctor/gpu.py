"""The GPU of a run: whether it is there, who uses it, and which variants its driver can run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.figures import gib
from pipeline.gpus import ComputeMode, GpuProcess, compute_mode, detect_gpus, nvml, processes_on, used_memory_bytes
from pipeline.hardware import AUTO, Hardware
from pipeline.plan import Selected, newest_first, unsuited_hardware
from pipeline.spec import Check

PCI_DEVICES = Path("/sys/bus/pci/devices")
NVIDIA = "0x10de"
DISPLAY_CLASS = "0x03"

IDLE_BYTES = 1024**3
"""More than the driver keeps for itself on a GPU that nobody uses."""

EXCLUSIVE_MEND = "set it back with `nvidia-smi --compute-mode=0` as root"


@dataclass(frozen=True)
class Card:
    """One of the run's GPUs as its driver has it now. number: nvidia-smi's, where there are several. used_bytes: by
    whomever. None: can't be told."""

    memory_bytes: int | None = None
    used_bytes: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    mode: ComputeMode | None = None
    number: int | None = None


def read_cards(uuids: Sequence[str]) -> tuple[Card, ...]:
    """Ask the driver for each."""
    with nvml():  # held over all questions: without a persistence daemon each start of the driver takes a second
        found = {gpu.uuid: gpu for gpu in detect_gpus()}
        return tuple(
            Card(
                found[uuid].memory_bytes if uuid in found else None,
                used_memory_bytes(uuid),
                tuple(processes_on(uuid)),
                compute_mode(uuid),
                found[uuid].index if uuid in found and len(uuids) > 1 else None,
            )
            for uuid in uuids
        )


def has_nvidia_card(devices: Path = PCI_DEVICES) -> bool:
    """Whether an NVIDIA GPU sits in this machine, whatever its driver says."""
    return any(
        _read(device / "vendor") == NVIDIA and _read(device / "class").startswith(DISPLAY_CLASS)
        for device in (devices.iterdir() if devices.is_dir() else ())
    )


def gpu_checks(
    hardware: Hardware, asked: str, cards: Sequence[Card], silent_card: bool, planned: Sequence[Selected]
) -> list[Check]:
    """asked: as --gpu had it. cards: none where no GPU was found. silent_card: see has_nvidia_card."""
    if hardware.gpu.device == "cpu":
        if asked == AUTO and silent_card:
            message = "an NVIDIA GPU is in this machine and its driver doesn't answer, so all is for the CPU"
            return [Check("gpu", "driver", "warn", message, "mend the driver until nvidia-smi lists the GPU")]
        return [Check("gpu", hardware.gpu.name, "pass", f"runs on the CPU: {hardware.gpu.found}")]
    if not cards:
        message = "not found on this machine; what follows is for one as gpus.yaml lists it"
        return [Check("gpu", hardware.gpu.name, "fail", message, "take --gpu auto, or run this on the GPU's machine")]
    size = "" if cards[0].memory_bytes is None else f", {gib(cards[0].memory_bytes)} GiB"
    found = f"{hardware.description}{size}, driver {hardware.driver}{f'; {len(cards)} of them' * (len(cards) > 1)}"
    on_gpu = tuple(item.title for item in planned if item.variant.device == "cuda")
    of_each = [check for card in cards for check in (_use(card), _mode(card, on_gpu))]
    return [Check("gpu", hardware.gpu.name, "pass", found), *of_each]


def driver_checks(hardware: Hardware, planned: Sequence[Selected]) -> list[Check]:
    """For each image that runs on the GPU, the driver against its newest variant's CUDA."""
    images = {item.image.name: item for item in planned if item.variant.device == "cuda"}
    return [_driver(hardware, item) for item in images.values()]


def _driver(hardware: Hardware, item: Selected) -> Check:
    check, subject = "driver", f"image {item.image.name}"
    newest = newest_first(variant for variant in item.image.variants if variant.device == "cuda")[0]
    if hardware.driver is None:
        return Check(check, subject, "unknown", f"no driver was found to hold against {newest.min_driver}")
    unsuited = unsuited_hardware(item.variant, hardware)
    if unsuited is not None:
        mend = "leave --variant out, or upgrade the driver"
        return Check(check, subject, "warn", f"variant {item.variant.name} was asked for and {unsuited}", mend)
    if newest.min_driver is not None and hardware.driver < newest.min_driver:
        message = (
            f"variant {item.variant.name} is taken, since {newest.name} (CUDA {newest.cuda}) needs driver "
            f"{newest.min_driver} and this is {hardware.driver}"
        )
        return Check(check, subject, "warn", message, "upgrade the NVIDIA driver for the newer variant")
    message = f"driver {hardware.driver} runs variant {item.variant.name} (CUDA {item.variant.cuda})"
    return Check(check, subject, "pass", message)


def _use(card: Card) -> Check:
    check, subject = "gpu", f"other processes{_of(card)}"
    mend = "end them or wait: a shared GPU makes timings worthless"
    if card.processes:
        return Check(check, subject, "warn", f"in use by {', '.join(map(_describe, card.processes))}", mend)
    if card.used_bytes is None:
        return Check(check, subject, "unknown", "the driver doesn't tell who uses this GPU")
    if card.used_bytes > IDLE_BYTES:
        message = f"{gib(card.used_bytes)} GiB are in use by processes that can't be seen from here"
        return Check(check, subject, "warn", message, f"find them with nvidia-smi; {mend}")
    return Check(check, subject, "pass", f"none; {gib(card.used_bytes)} GiB in use")


def _mode(card: Card, stops: tuple[str, ...]) -> Check:
    check, subject = "gpu", f"compute mode{_of(card)}"
    if card.mode is None:
        return Check(check, subject, "unknown", "the driver doesn't tell it")
    if card.mode == "prohibited":
        return Check(check, subject, "fail", "prohibited: this GPU computes for no process", EXCLUSIVE_MEND, stops)
    if card.mode == "exclusive" and card.processes:
        message = f"exclusive, and {_describe(card.processes[0])} has the GPU"
        return Check(check, subject, "fail", message, f"end that process, or {EXCLUSIVE_MEND}", stops)
    return Check(check, subject, "pass", card.mode)


def _of(card: Card) -> str:
    return "" if card.number is None else f" of GPU {card.number}"


def _describe(process: GpuProcess) -> str:
    size = "" if process.memory_bytes is None else f", {gib(process.memory_bytes)} GiB"
    return f"process {process.pid} ({process.name or 'name unknown'}{size})"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
