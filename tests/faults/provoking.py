"""Failures made to happen on real parts, each taken to its class by the way that a run takes it."""

import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.catalog import load_catalog
from pipeline.datasets import Dataset
from pipeline.host.arguments import Arguments, parse
from pipeline.host.environments import READY_FILE, ensure_environment, environment_folder
from pipeline.host.execute import Execution, Policy
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers import Launcher
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.outcome import collect
from pipeline.host.prepare import Preparation, Prepared
from pipeline.host.seats import LocalSeats, Seat
from pipeline.host.session import Session, find_dataset, make_requests, open_session
from pipeline.jobs import make_job
from pipeline.plan import Request, Selected
from pipeline.report.watch import LineWatcher
from pipeline.results import LOG_FILE, Failure
from pipeline.spec import HostFacts, JobWeights

HOST = HostFacts(os="a test's")


@dataclass(frozen=True)
class Command:
    """A planned command with one experiment: what orchestrator.py makes of its arguments, up to the first job."""

    arguments: Arguments
    session: Session
    request: Request

    @property
    def selected(self) -> Selected:
        """Its experiment."""
        [selected] = self.session.planned
        assert isinstance(selected, Selected), selected
        return selected


def command(experiment: str, folder: Path, *more: str) -> Command:
    """The command that runs an experiment in a process on the CPU over two documents, its folders within `folder`."""
    given = [
        "--gpu",
        "cpu",
        "--launcher",
        "process",
        "--experiment",
        experiment,
        "--docs",
        "2",
        "--max-new-tokens",
        "4",
    ]
    folders = ["--results", str(folder / "results"), "--cache", str(folder / "cache")]
    catalog = load_catalog()
    arguments = parse([*given, *folders, *more], catalog, LAUNCHERS)
    session = open_session(arguments, catalog)
    dataset = find_dataset(session)
    assert isinstance(dataset, Dataset)
    [request] = make_requests(session, dataset)
    return Command(arguments, session, request)


def run_job(planned: Command, prepared: Prepared) -> Failure:
    """How the command's job fails, run once as a run does."""
    watcher = LineWatcher()
    execution = Execution(
        launcher=planned.session.launcher,
        results=planned.arguments.results,
        hardware=planned.session.hardware,
        host=HOST,
        policy=Policy(retries=0),
        watcher=watcher,
        seats=LocalSeats([Seat(GpuTurn(None, watcher))]),
    )
    [result] = execution.run_all([(planned.selected, planned.request)], prepared)
    assert result.failure is not None, result
    return result.failure


def prepare_and_run(planned: Command) -> Failure:
    """How the command fails in its preparation, as its job's result says it."""
    session, arguments = planned.session, planned.arguments
    logs = arguments.results / planned.request.run / "prepare"
    preparation = Preparation(
        session.catalog, session.launcher, session.hardware, arguments.variants, arguments.cache, logs, LineWatcher()
    )
    return run_job(planned, preparation.prepare(session.planned))


def failure_of_job(launcher: Launcher, planned: Command, arguments: Sequence[str] = ()) -> Failure:
    """How a job fails for which the launcher starts something else than a worker."""
    selected, results = planned.selected, planned.arguments.results
    job = make_job(selected, planned.request, planned.session.hardware, None, HOST)
    log = results / job.folder / LOG_FILE
    ended = launcher.run(selected.image, selected.variant, arguments, log, lambda line: None)
    failure = collect(results, job, HOST, ended, "start").failure
    assert failure is not None
    return failure


def failure_of_code(code: str, experiment: str, folder: Path, cache: Path, **variables: str) -> Failure:
    """How Python code fails as a job in the environment of that experiment's image; variables: for it alone."""
    planned = command(experiment, folder)
    image, variant = planned.selected.image, planned.selected.variant
    real = ensure_environment(cache, image, variant, folder / "environment.txt")
    stand_in = environment_folder(folder / "cache", image, variant)
    (stand_in / "bin").mkdir(parents=True)
    (stand_in / READY_FILE).touch()
    (folder / "job.py").write_text(code, encoding="utf-8")
    words = [
        "env",
        *(f"{name}={value}" for name, value in variables.items()),
        real / "bin" / "python",
        folder / "job.py",
    ]
    interpreter = stand_in / "bin" / "python"
    interpreter.write_text(f"#!/bin/sh\nexec {shlex.join(map(str, words))}\n", encoding="utf-8")
    interpreter.chmod(0o755)
    return failure_of_job(planned.session.launcher, planned)


def failure_of_weights(
    experiment: str, form: str, files: Mapping[str, bytes], folder: Path, cache: Path, *more: str
) -> Failure:
    """How a job fails over weights of that format that are these files: one of them, or their folder."""
    (folder / "cache").mkdir()
    (folder / "cache" / "envs").symlink_to(cache / "envs")
    weights = folder / "cache" / "models" / "broken" / form
    weights.mkdir(parents=True)
    for name, content in files.items():
        (weights / name).write_bytes(content)
    opened = weights / "model.gguf" if form == "gguf" else weights
    found = JobWeights(form, opened.relative_to(folder / "cache").as_posix(), "real", "1", "0" * 64)
    planned = command(experiment, folder, *more)
    return run_job(planned, Prepared(weights={(planned.request.model.name, form): found}))


def changed(file: Path, **fields: Any) -> bytes:
    """A JSON file's content with other values in some fields."""
    return json.dumps(json.loads(file.read_text(encoding="utf-8")) | fields).encode()


def write_wheel(folder: Path, name: str, version: str, *metadata: str) -> None:
    """An empty wheel of that name and version, with further lines of metadata."""
    about = f"{name}-{version}.dist-info"
    head = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *metadata]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "\n".join(head) + "\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
