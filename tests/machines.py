"""Machines that aren't here, as the doctor's checks see them: a session planned for them, and their facts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.catalog import load_catalog
from pipeline.choices import Choices, ChosenModel
from pipeline.entries import Image, Variant
from pipeline.hardware import Hardware
from pipeline.host.arguments import parse
from pipeline.host.doctor.containers import DockerFacts
from pipeline.host.doctor.disk import Place
from pipeline.host.doctor.folders import Limits
from pipeline.host.doctor.gather import Facts
from pipeline.host.doctor.gpu import Card
from pipeline.host.doctor.memory import Memory
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.session import ModelPlan, Session
from pipeline.plan import Request, select
from pipeline.spec import JobGpu
from tests.builders import make_workload

CATALOG = load_catalog()
LLAMA = CATALOG.models["llama-2-7b-chat"]
GIB = 1024**3

CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
T4 = Hardware(JobGpu("t4", "Tesla T4", "cuda"), "float16", 7.5, 580, ("GPU-t4",))
V100 = Hardware(JobGpu("v100", "Tesla V100-SXM2-16GB", "cuda"), "float16", 7.0, 580, ("GPU-v100",))
A100 = Hardware(JobGpu("a100", "NVIDIA A100-SXM4-40GB", "cuda"), "bfloat16", 8.0, 580, ("GPU-a100",))
T4_BYTES = 15_109 * 1024**2
A100_BYTES = 40 * GIB

LONGEST_BYTES = 3430
"""Of the bundled sample's documents."""


def can_run(_image: Image, _variant: Variant) -> str | None:
    return None


def make_session(hardware: Hardware, *experiments: str, model: Any = LLAMA, launcher: str = "docker") -> Session:
    """Planned for that hardware, all experiments unless some are named; no launcher's reasons are in the way."""
    named = [word for name in experiments for word in ("--experiment", name)]
    arguments = parse([*(named or ["--all"]), "--gpu", hardware.gpu.name, "--launcher", launcher], CATALOG, LAUNCHERS)
    chosen = ChosenModel(model, CATALOG.prompts[model.prompt])
    planned = select(arguments.experiments, CATALOG, model, hardware, can_run)
    plans = (ModelPlan(chosen, tuple(planned)),)
    process = ProcessLauncher(Path("data"), Path("cache"), Path("results"))
    choices = Choices(hardware, (chosen,), "sample")
    return Session(arguments, CATALOG, choices, replace(process, name=launcher), None, plans)


def make_request(session: Session, **changes: Any) -> Request:
    """Of a session with one model: the bundled sample with the published settings."""
    [chosen] = session.choices.models
    workload = make_workload(prompt=chosen.prompt, max_new_tokens=300)
    request = Request("run", "offline", None, workload, chosen.model, session.launcher.name)
    return replace(request, longest_document_bytes=LONGEST_BYTES, **changes)


def make_facts(card_bytes: int = A100_BYTES, used_bytes: int = 300 * 1024**2, **changes: Any) -> Facts:
    """A machine with an idle GPU, Docker, a large disk and nothing missing, but for `changes`."""
    facts = Facts(
        memory=Memory((card_bytes,), used_bytes),
        places={"cache": Place(Path("/cache"), 1, 500 * 10**9), "results": Place(Path("/results"), 1, 500 * 10**9)},
        writable={"results": True, "cache": True},
        limits=Limits(8 * GIB, 65536),
        cards=(Card(card_bytes, used_bytes, (), "shared"),),
        docker=DockerFacts(version="27.3.1", gpus=True, data_root="/var/lib/docker"),
    )
    return replace(facts, **changes)


def statuses(checks: Sequence[Any], kind: str) -> dict[str, str]:
    """The status of each check of a kind, by its subject."""
    return {check.subject: check.status for check in checks if check.check == kind}
