"""Environments and weights on the nodes, made before the run's jobs and told of here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import BenchmarkError
from pipeline.host.cluster.launcher import RayLauncher
from pipeline.host.cluster.ray import LostError
from pipeline.host.prepare import Broken, Prepared
from pipeline.host.watcher import Watcher
from pipeline.plan import Selected
from pipeline.spec import JobWeights


def prepare_on_cluster(
    launcher: RayLauncher,
    selected: Sequence[Selected],
    watcher: Watcher,
    logs: Path,
    *,
    everywhere: bool,
) -> Prepared:
    """Prepare what the selected experiments need on a node that has it; the others do so as jobs come to them.

    everywhere: on each now. What broke on any counts as broken; its log is written to `logs`.
    """
    launcher.note = watcher.note
    tasks = launcher.preparing(selected, everywhere=everywhere)
    if not launcher.selected:
        return Prepared()
    where = f"{len(tasks)} nodes" if everywhere else "a node"
    outcomes = []
    try:
        with watcher.preparing(f"environments and weights on {where} of the Ray cluster"):
            for task in tasks:
                while not task.over:
                    outcomes += task.wait()
    except LostError as error:
        raise BenchmarkError(f"a node was lost while it prepared ({error}); the same command goes on") from error
    finally:
        for task in tasks:
            task.end()
    made = [_with_logs(prepared, ends, logs) for prepared, ends in outcomes]
    merged = merge(made)
    for message in dict.fromkeys(
        item.message for item in [*merged.images.values(), *merged.weights.values()] if isinstance(item, Broken)
    ):
        watcher.trouble(message)
    return merged


def merge(outcomes: Sequence[Prepared]) -> Prepared:
    """Of several nodes: what broke on one is broken, and so are weights that differ between two."""
    merged = Prepared()
    for prepared in outcomes:
        merged.images.update(prepared.images)
        for key, found in prepared.weights.items():
            before = merged.weights.setdefault(key, found)
            if isinstance(before, JobWeights) and isinstance(found, JobWeights) and before.sha256 != found.sha256:
                model, form = key
                message = f"the {form} weights of {model} differ between nodes; share their cache folder, or copy it"
                merged.weights[key] = Broken(message, Path(f"weights-{model}-{form}.txt"))
            elif isinstance(before, JobWeights):
                merged.weights[key] = found
    return merged


def _with_logs(prepared: Prepared, ends: Mapping[str, str], logs: Path) -> Prepared:
    """The same with each log on this machine, as far as the node sent it."""
    logs.mkdir(parents=True, exist_ok=True)
    for name, text in ends.items():
        (logs / name).write_text(text, encoding="utf-8")

    def here(broken: Broken) -> Broken:
        return Broken(broken.message, logs / broken.log.name)

    return Prepared(
        {name: here(broken) for name, broken in prepared.images.items()},
        {key: here(found) if isinstance(found, Broken) else found for key, found in prepared.weights.items()},
    )
