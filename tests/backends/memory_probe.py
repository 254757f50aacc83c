"""Loads a job's engine, waits for a line, then searches the largest batch and generates at a given one.

`python -m tests.backends.memory_probe JOB.json DATA CACHE SIZE`: the last line of standard output is what it saw.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.files import read_json
from pipeline.spec import Job
from pipeline.worker.backend import create_backend
from pipeline.worker.batch_search import find_batch_size
from pipeline.worker.batches import Batches
from pipeline.worker.requests import build_requests
from pipeline.worker.runner import Roots, load_documents, make_setup
from pipeline.worker.surroundings import enter, read_surroundings
from pipeline.worker.telemetry import device_meter
from pipeline.worker.token_times import TokenTimes


def observe(job: Job, roots: Roots, size: int) -> dict[str, Any]:
    """The texts of batches of that size, and then what the search for the largest batch came to."""
    documents = load_documents(job, roots)
    batches = Batches(size, shrink=False)
    backend = create_backend(job.backend, make_setup(job, roots, documents, batches))
    backend.load()
    requests = list(build_requests(backend, documents, job.workload, job.model))
    print("loaded", flush=True)
    sys.stdin.readline()
    texts = {completion.id: completion.text for completion in backend.generate(requests)}
    batches.size = len(requests)
    with device_meter(job.gpu.device) as meter:
        found = find_batch_size(backend, batches, requests, meter, TokenTimes(), lambda size: None)
    backend.close()
    return {"texts": texts, "found": asdict(found), "size": batches.size}


if __name__ == "__main__":
    enter(read_surroundings()[1], network=False)
    path, data, cache = map(Path, sys.argv[1:4])
    roots = Roots(data, cache, path.parent)
    print(json.dumps(observe(codec.decode(Job, read_json(path), str(path)), roots, int(sys.argv[4]))))
