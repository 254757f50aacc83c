"""One experiment's adapter observed: its environment made, its weights prepared, and the probe run inside."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.catalog import load_catalog
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.entries import Needs
from pipeline.files import write_json
from pipeline.hardware import Hardware
from pipeline.host.environments import process_environment, python_of
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.prepare import Preparation
from pipeline.jobs import make_job
from pipeline.plan import Request, Selected, select
from pipeline.report.watch import LineWatcher
from pipeline.spec import HostFacts, JobGpu, Workload
from tests.conformance.probe import NEW_TOKENS

_CATALOG = load_catalog()
_COMPILED = _CATALOG.experiments["compiled"]
_AS_PYTHON = replace(
    _COMPILED,
    options=_COMPILED.options | {"compile": {"backend": "eager", "fullgraph": True, "dynamic": False}},
    needs=Needs(),
)
"""Traced as on a GPU, but run as it is: an image for the CPU has no C++ compiler."""
CATALOG = replace(_CATALOG, experiments={**_CATALOG.experiments, _AS_PYTHON.name: _AS_PYTHON})
MODEL = CATALOG.models["gemma-3-270m"]
CPU = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")
ON_A_CPU = [
    item for item in CATALOG.experiments.values() if item.needs.device in (None, "cpu") and not item.by_name_only
]
ONE_OF_EACH = {
    (item.backend, "compile" in item.options, "paged" in item.options): item.name
    for item in reversed(ON_A_CPU)
    if item.weights is not None
}.values()
"""The first experiment of each backend, and of each way in which it batches."""

DOCS = 3
TIMEOUT_S = 900

Observation = dict[str, Any]


def observe(name: str, launcher: ProcessLauncher, folder: Path) -> Observation:
    """What the probe saw of an experiment, on the embedded model if it has one. folder: for what is made for it."""
    [item] = select([name], CATALOG, MODEL, CPU, launcher.why_not)
    assert isinstance(item, Selected)
    preparation = Preparation(CATALOG, launcher, CPU, {}, launcher.cache, folder, LineWatcher())
    prepared = preparation.prepare([item])
    assert prepared.obstacle(item) is None
    path = "sample/howto_en.jsonl"
    chosen = choose(read_documents(launcher.data / path), DOCS, 0)
    prompt = CATALOG.prompts[MODEL.prompt]
    workload = Workload("sample", path, fingerprint(chosen), DOCS, 0, prompt, NEW_TOKENS)
    request = Request("conformance", "offline", DOCS, workload, MODEL, "process")
    job = make_job(item, request, CPU, prepared.weights_of(item), HostFacts())
    write_json(folder / "job.json", codec.encode(job))
    done = subprocess.run(
        [
            *(
                str(python_of(launcher.cache, item.image, item.variant)),
                "-m",
                "tests.conformance.probe",
                str(folder / "job.json"),
            ),
            *("--data", str(launcher.data), "--cache", str(launcher.cache)),
            *(["--thoroughly"] if name in ONE_OF_EACH else []),
        ],
        env=process_environment(launcher.cache, item.image, item.variant, network=False),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    seen: Observation = json.loads(done.stdout.splitlines()[-1])
    return seen
