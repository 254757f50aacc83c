"""Adapters take of a workload what their engine can work on, and the rest as that is finished."""

import json
from typing import Any

import pytest

from pipeline.worker.backends.vllm.adapter import window_of
from tests.worker.conftest import Inside, inside

__all__ = ["inside"]

DOCS = 60
SLOTS = 2

CODE = """
import json
import sys
import tempfile
from pathlib import Path

from pipeline.worker import synthetic
from pipeline.worker.backend import Request, Setup, create_backend
from pipeline.worker.hand_over import HandOver
from pipeline.worker.surroundings import enter, read_surroundings


class Watched(HandOver):
    most = 0

    def __getitem__(self, index):
        found = super().__getitem__(index)
        self.most = max(self.most, self.under_way)
        return found


def observe():
    name, form, options, docs, slots = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        weights = synthetic.write(form, Path(folder))
        backend = create_backend(name, Setup(weights, "cpu", "float32", options, slots, 64, synthetic.MODEL.eos_ids, 0))
        backend.load()
        ids = [(synthetic.MODEL.bos_id, *(40 + n % 50 for n in range(3 + number % 5))) for number in range(docs)]
        over = Watched([Request(str(n), "", given, 2 + n % 3, full_length=True) for n, given in enumerate(ids)])
        tokens = {}
        for completion in backend.generate(over, lambda added: None):
            over.complete(completion.id)
            tokens[completion.id] = len(completion.output_ids)
        backend.close()
    exact = all(count == 2 + int(name) % 3 for name, count in tokens.items())
    return {"most": over.most, "completed": over.completed, "exact": exact}


if __name__ == "__main__":
    enter(read_surroundings()[1], network=False)
    print("\\n" + json.dumps(observe()))
"""


@pytest.mark.parametrize(
    ("image", "backend", "form", "options", "most"),
    [
        (
            "transformers",
            "transformers",
            "hf",
            {"attention": "sdpa", "paged": {"auto_switch_to_flash": False, "num_blocks": 16, "max_batch_tokens": 64}},
            35,  # it is given the next before it is told that one is finished
        ),
        ("llama-cpp", "llama_cpp", "gguf", {}, 10 * SLOTS),
        ("vllm", "vllm", "hf", {"enforce_eager": True}, window_of(SLOTS)),
    ],
    ids=["paged", "llama.cpp", "vllm"],
)
def test_an_engine_is_never_given_more_than_it_needs_to_be_busy(
    inside: Inside, image: str, backend: str, form: str, options: dict[str, Any], most: int
) -> None:
    seen = inside(image, CODE, json.dumps([backend, form, options, DOCS, SLOTS]))
    assert seen["completed"] == DOCS and seen["exact"]
    assert SLOTS <= seen["most"] <= most < DOCS
