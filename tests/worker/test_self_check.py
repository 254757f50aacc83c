"""The self-check: every CPU image holds, and what is broken is seen and named."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Experiment, Image, Rates, Variant
from pipeline.gpus import DetectedGpu
from pipeline.hardware import Hardware
from pipeline.host.environments import ensure_environment, process_environment
from pipeline.plan import Selected
from pipeline.spec import Job, JobGpu
from pipeline.worker import self_check, synthetic
from pipeline.worker.backend import Completion, MemoryUse, OnStep, Request, Settings, Setup
from pipeline.worker.synthetic import llama, trial
from pipeline.worker.telemetry import DeviceMeter

CATALOG = load_catalog()
HERE = "{}.{}".format(*sys.version_info[:2])
T4 = DetectedGpu(0, "GPU-1", "Tesla T4", 16 * 1024**3, 7.5, "580.82.07", "13.0")
LEAD = CATALOG.experiments["lead-3"]
REFERENCE = CATALOG.images["reference"]


def of_image(name: str, variant_name: str) -> tuple[Image, Variant, list[Experiment]]:
    """An image, its variant as if locked for this Python, and its experiments."""
    image = CATALOG.images[name]
    variant = next(variant for variant in image.variants if variant.name == variant_name)
    experiments = [experiment for experiment in CATALOG.experiments.values() if experiment.image == name]
    return image, replace(variant, python=HERE), experiments


CPU_IMAGES = [name for name, image in CATALOG.images.items() if image.variants[0].device == "cpu" and not image.extra]


@pytest.mark.parametrize("name", [name for name in CPU_IMAGES if name != "vllm"])  # that one in its container alone
def test_every_cpu_image_holds(name: str, cache: Path, tmp_path: Path) -> None:
    image, variant, experiments = of_image(name, "cpu")
    folder = ensure_environment(cache, image, variant, tmp_path / "log.txt")
    done = subprocess.run(
        [str(folder / "bin" / "python"), "-m", "pipeline", "--self-check"],
        env={**process_environment(cache, image, variant, network=False), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    ran = [line.split(":")[0].split() for line in done.stdout.splitlines()]
    runs = ["skip" if experiment.needs.device == "cuda" else "ok" for experiment in experiments]
    formats = [source for source in CATALOG.formats.values() if source.kind != "synthetic"]
    made_here = [source.using for source in formats if source.image == name]
    assert ran == [
        ["ok", "python"],
        *([status, experiment.name] for status, experiment in zip(runs, experiments, strict=True)),
        *(["ok", using] for using in made_here),
    ]
    assert not list(tmp_path.glob("self-check-*"))


def test_the_devices_rates_are_told_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    variant = replace(REFERENCE.variants[0], python=HERE)

    assert self_check.run(REFERENCE, variant, [LEAD], measured=True) == 0
    _, rates, _ = capsys.readouterr().out.splitlines()
    assert re.match(r"ok    rates: memory [0-9.]+ GB/s", rates)


def test_a_gpus_rates_stand_beside_the_vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rates("measured", 2.4e11, 5.2e13, 1.04e14)
    monkeypatch.setattr(self_check, "measure", lambda *_: found)
    monkeypatch.setattr(self_check, "has_torch", lambda: True)

    finding = self_check.check_rates(Hardware(JobGpu("none", "Tesla T4", "cuda"), "float16"), [T4])
    assert finding.text == (
        "memory 240 GB/s (75% of the listed 320), float16 52 TFLOP/s (80% of the listed 65), "
        "8 bits 104 TFLOP/s (80% of the listed 130)"
    )


def test_rates_of_a_gpu_are_left_out_where_the_image_has_nothing_to_measure_them_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(self_check, "has_torch", lambda: False)
    finding = self_check.check_rates(Hardware(JobGpu("none", "Tesla T4", "cuda"), "float16"), [T4])
    assert (finding.status, finding.text) == ("skip", "needs PyTorch, which this image has not")


def test_rates_that_cannot_be_measured_fail_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "measure", lambda *_: None)

    assert self_check.check_rates(Hardware(JobGpu("cpu", "a CPU", "cpu"), "float32"), []).status == "FAIL"


def test_a_wrong_python_is_seen_and_does_not_stop_the_next_check(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = replace(REFERENCE.variants[0], python="3.9")

    assert self_check.run(REFERENCE, wrong, [LEAD]) == 1
    python, lead = capsys.readouterr().out.splitlines()
    assert python.startswith(f"FAIL  python: {HERE}, the lock is for 3.9")
    assert python.endswith("→ build it again with Python 3.9")
    assert lead.startswith("ok    lead-3: ")


def test_a_gpu_variant_without_a_gpu_fails_and_says_how_to_hand_one_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "detect_gpus", list)
    image, variant, _ = of_image("transformers", "cu130")

    assert self_check.run(image, variant, []) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("FAIL  gpu: NVML lists no NVIDIA GPU")
    assert "--gpus all" in line


def test_an_old_driver_fails_and_its_experiments_are_not_tried(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "detect_gpus", lambda: [replace(T4, driver_version="535.104")])
    image, variant, experiments = of_image("transformers", "cu130")

    assert self_check.run(image, variant, experiments[:1]) == 1
    driver, experiment = capsys.readouterr().out.splitlines()[-2:]
    assert driver.startswith("FAIL  driver: NVIDIA 535, variant cu130 needs 580 or newer")
    assert experiment.startswith(f"skip  {experiments[0].name}: ")


def test_what_a_gpu_is_too_old_for_is_skipped_and_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "detect_gpus", lambda: [T4])

    assert self_check.run(*of_image("flash-attn", "cu130")) == 0
    gpu, driver, *skipped = capsys.readouterr().out.splitlines()[1:]
    assert gpu.startswith("ok    gpu: Tesla T4, 16 GiB, compute capability 7.5")
    assert driver.startswith("ok    driver: NVIDIA 580")
    assert [line.split(",")[0] for line in skipped] == [
        f"skip  {name}: needs compute capability 8.0" for name in ("flash-attn", "flash-4bit", "flash-paged")
    ]


def test_an_engine_that_raises_fails_with_its_message_and_leaves_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    broken = replace(LEAD, name="broken", options={"sentences": 0})

    assert self_check.run(REFERENCE, replace(REFERENCE.variants[0], python=HERE), [broken, LEAD]) == 1
    seen = capsys.readouterr()
    _, first, second = seen.out.splitlines()
    assert first.startswith("FAIL  broken: ") and "expected a whole number above 0, found 0" in first
    assert second.startswith("ok    lead-3: ")
    assert "Traceback" in seen.err


def try_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> self_check.Finding:
    """What the self-check finds where that Python code stands in for the process that tries an experiment."""
    monkeypatch.setattr(self_check, "TRIAL", (sys.executable, "-c", code))
    selected = Selected(LEAD, REFERENCE, REFERENCE.variants[0], None, "for any machine")
    hardware = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")
    return self_check.check_experiment(selected, hardware, tmp_path)


def test_a_known_failure_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = try_command(monkeypatch, tmp_path, "raise SystemExit('libcuda.so.1: cannot open shared object file')")

    assert (found.status, found.text.split(":")[0]) == ("FAIL", "libcuda_missing")
    assert found.fix is not None and "ldconfig" in found.fix


def test_a_crash_is_a_failure_that_tells_the_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = try_command(monkeypatch, tmp_path, "import os; os.abort()")

    assert found.status == "FAIL"
    assert "exit status 134" in found.text


def test_an_engine_that_hangs_is_ended_with_its_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(self_check, "LIMIT_S", 3.0)
    heartbeat = tmp_path / "heartbeat"
    child = f"import time, pathlib\nwhile True: pathlib.Path({str(heartbeat)!r}).touch(); time.sleep(0.05)"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)"
    found = try_command(monkeypatch, tmp_path, code)

    assert (found.status, found.text) == ("FAIL", "not done within 3 s")
    last = heartbeat.stat().st_mtime_ns
    time.sleep(0.5)
    assert heartbeat.stat().st_mtime_ns == last


class Engine:
    """An adapter without fault but for the changes: length, first_id, drift (of ids from call to call), text, ..."""

    def __init__(self, setup: Setup, **changes: Any) -> None:
        self.changes = changes
        self.dtype = setup.dtype
        self.calls = 0

    def load(self) -> None:
        """Nothing to load."""

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        return [[llama.token_id(byte) for byte in prompt.encode()] for prompt in prompts]

    def compile_for(self, requests: Sequence[Request]) -> bool:
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        self.calls += 1
        for request in requests[: self.changes.get("completions")]:
            length = self.changes.get("length", request.max_new_tokens)
            first = self.changes.get("first_id", llama.PRINTABLE_IDS.start)
            ids = [first + self.calls * self.changes.get("drift", 0)] * length
            yield Completion(request.id, self.changes.get("text", "text"), tuple(ids), "length")

    def memory(self) -> MemoryUse:
        return MemoryUse(self.changes.get("weights_bytes"))

    def settings(self) -> Settings:
        return Settings(dtype=self.changes.get("dtype", self.dtype), quantization=self.changes.get("quantization"))

    def close(self) -> None:
        """Nothing to free."""


def trial_job(device: str = "cpu") -> Job:
    """The job of an experiment of the backend "fake" on that device."""
    image, variant, [experiment, *_] = of_image("transformers", "cpu")
    hardware = Hardware(JobGpu(device, device, "cuda" if device == "cuda" else "cpu"), "float16")
    fake = replace(experiment, backend="fake", options={})
    return self_check.make_trial_job(Selected(fake, image, variant, synthetic.MODEL, "for any machine"), hardware)


def outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str = "hf", **changes: Any) -> trial.Outcome:
    """Of an engine with those changes from a faultless one."""
    module = SimpleNamespace(create=lambda setup: Engine(setup, **changes))
    monkeypatch.setitem(sys.modules, "pipeline.worker.backends.fake", module)  # type: ignore[arg-type]
    return trial.try_out(trial_job(), form, tmp_path)


def test_a_faultless_engine_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert outcome(monkeypatch, tmp_path) == trial.Outcome("16 tokens, float16")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"length": 5}, "with 5 tokens, 8 were asked for"),
        ({"length": 0}, "with 0 tokens"),
        ({"drift": 1}, "greedy decoding gave"),
        ({"first_id": llama.VOCABULARY_SIZE}, "outside the vocabulary"),
        ({"text": " "}, "without text"),
        ({"completions": 1}, "2 requests came back as short"),
        ({"dtype": "float32"}, "asked for float16, it says that it runs in float32"),
        ({"form": "gguf"}, "the weights are quantised, it says that they are not"),
        ({"weights_bytes": 10 * llama.PARAMETERS}, "parameters take"),
    ],
)
def test_an_engine_that_does_otherwise_than_asked_is_seen(
    changes: dict[str, Any], fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = outcome(monkeypatch, tmp_path, **changes)

    assert found.fault is not None and fault in found.fault
    assert found.fix


def test_an_output_that_an_end_of_sequence_id_cuts_short_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert outcome(monkeypatch, tmp_path, length=1, first_id=llama.EOS_ID).fault is None


@pytest.mark.parametrize("used_bytes", [0, None])
def test_a_gpu_whose_memory_does_not_rise_was_not_used(
    used_bytes: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def meter(_device: str) -> Iterator[DeviceMeter]:
        yield DeviceMeter(lambda: used_bytes, lambda: None)

    monkeypatch.setattr(trial, "device_meter", meter)
    module = SimpleNamespace(create=Engine)
    monkeypatch.setitem(sys.modules, "pipeline.worker.backends.fake", module)  # type: ignore[arg-type]
    found = trial.try_out(trial_job("cuda"), "hf", tmp_path)

    assert found.fault is not None and "the GPU's used memory" in found.fault
    assert found.fix == trial.WRONG_DEVICE
