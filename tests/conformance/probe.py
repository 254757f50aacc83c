"""Puts one experiment's adapter through its paces, inside its own environment, and prints what it saw as JSON.

`python -m tests.conformance.probe JOB.json --data D --cache C`: the last line of standard output is the observation.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.documents import choose, read_documents
from pipeline.entries import Sampling
from pipeline.files import read_json
from pipeline.spec import Job
from pipeline.worker import synthetic
from pipeline.worker.backend import Backend, Request, Setup, create_backend
from pipeline.worker.requests import Seeded, build_requests, max_length, prompt_ids_sha256
from pipeline.worker.surroundings import enter, read_surroundings

NEW_TOKENS = 12


@dataclass
class Steps:
    """An OnStep callback that adds up the tokens a request."""

    tokens: dict[str, int] = field(default_factory=dict)
    calls: int = 0

    def __call__(self, added: Any) -> None:
        self.calls += 1
        for request_id, count in added.items():
            self.tokens[request_id] = self.tokens.get(request_id, 0) + count


def observe(job: Job, data: Path, cache: Path, *, thoroughly: bool) -> dict[str, Any]:
    """Everything that the conformance tests look at; thoroughly: in further engines how an output ends and is drawn."""
    documents = choose(read_documents(data / job.workload.documents), job.workload.docs, job.workload.seed)
    setup = Setup(
        weights=cache / job.weights.path if job.weights else None,
        device=job.gpu.device,
        dtype=job.dtype,
        options=job.options,
        batch_size=job.batch_size,
        max_length=max_length(documents, job.workload, job.model),
        eos_ids=job.model.eos_ids if job.model else (),
        seed=0,
        attention=job.model.attention if job.model else None,
    )
    never_loaded = create_backend(job.backend, setup)
    never_loaded.close()
    backend = create_backend(job.backend, setup)
    backend.load()
    requests = list(build_requests(backend, documents, job.workload, job.model))
    steps = Steps()
    together = completions(backend, requests, steps)
    seen: dict[str, Any] = {
        "requests": [asdict(request) for request in requests],
        "prompt_ids_sha256": prompt_ids_sha256(requests),
        "together": together,
        "steps": asdict(steps),
        "again": completions(backend, requests, None),
        "single": [found for request in requests for found in completions(backend, [request], None)],
        "uneven": completions(backend, [replace(r, max_new_tokens=2 + n) for n, r in enumerate(requests)], None),
        "settings": asdict(backend.settings()),
        "memory": asdict(backend.memory()),
    }
    backend.close()
    backend.close()
    if thoroughly:
        seen["eos_id"], seen["ended"] = ended_early(job, setup, requests, together[0])
        seen |= drawn(job, setup)
    seen["children_left"] = children_left()
    return seen


def ended_early(
    job: Job, setup: Setup, requests: Sequence[Request], completion: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """A completion made again with the id in its middle for the end-of-sequence id: that id, and what came.

    It is drawn from the likeliest token alone, which has to come to the same.
    """
    ending = completion["output_ids"][NEW_TOKENS // 2]
    likeliest = Sampling("sample", temperature=1.0, top_k=1)
    backend = create_backend(job.backend, replace(setup, eos_ids=(ending,), sampling=likeliest))
    backend.load()
    same = next(request for request in requests if request.id == completion["id"])
    ended = completions(backend, [same], None)[0]
    backend.close()
    return ending, ended


def drawn(job: Job, setup: Setup) -> dict[str, Any]:
    """Completions of a model of random weights, drawn: twice with the same seeds, once with another repeat's."""
    assert job.weights is not None
    sampling = Sampling("sample", temperature=1.0, top_p=0.95)
    with tempfile.TemporaryDirectory() as folder:
        weights = synthetic.write(job.weights.format, Path(folder))
        backend = create_backend(job.backend, replace(setup, weights=weights, max_length=64, sampling=sampling))
        backend.load()
        requests = [Request(str(number), "", (synthetic.MODEL.bos_id or 0, 40, 50), NEW_TOKENS) for number in range(2)]
        seen = {
            "drawn": completions(backend, Seeded(requests, job, 1), None),
            "drawn_again": completions(backend, Seeded(requests, job, 1), None),
            "drawn_otherwise": completions(backend, Seeded(requests, job, 2), None),
        }
        backend.close()
    return seen


def completions(backend: Backend, requests: Sequence[Request], steps: Steps | None) -> list[dict[str, Any]]:
    """All completions in the order in which they came."""
    return [asdict(completion) for completion in backend.generate(requests, steps)]


def children_left(patience_s: float = 5.0) -> list[str]:
    """Commands of child processes that a closed engine has left running."""
    deadline = time.perf_counter() + patience_s
    while True:
        pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
        running = [pid for pid in pids if Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] != "Z"]
        commands = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in running]
        # Python's own helper for semaphores lives as long as the interpreter
        engines = [command for command in commands if "resource_tracker" not in command]
        if not engines or time.perf_counter() > deadline:
            return engines
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--thoroughly", action="store_true")
    arguments = parser.parse_args()
    job = codec.decode(Job, read_json(arguments.job), str(arguments.job))
    print("\n" + json.dumps(observe(job, arguments.data, arguments.cache, thoroughly=arguments.thoroughly)))


if __name__ == "__main__":  # engines that spawn processes import this module again
    enter(read_surroundings()[1], network=False)
    main()
