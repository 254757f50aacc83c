"""What an engine is fed."""

import pytest

from pipeline.documents import Document
from pipeline.entries import Prompt
from pipeline.spec import JobModel
from pipeline.worker.backend import Request
from pipeline.worker.requests import Seeded, render_prompt, warmup_count, warmup_documents, with_one_bos
from tests.builders import make_workload
from tests.worker.test_runner import make_job

MODEL = JobModel("m", 100, (1,), bos_id=2, prompt_prefix="[INST] ", prompt_suffix=" [/INST]")
DOCUMENTS = [Document(f"d{n}", " ".join(f"word{n}{i}" for i in range(10 * n)), "s") for n in range(1, 6)]


@pytest.mark.parametrize("ids", [[7, 8], [2, 7, 8], [2, 2, 7, 8]])
def test_a_prompt_gets_exactly_one_bos_whatever_the_tokenizer_does(ids: list[int]) -> None:
    assert with_one_bos(ids, MODEL) == (2, 7, 8)


def test_braces_in_a_document_are_text() -> None:
    workload = make_workload(prompt=Prompt("p", "{document}!"))
    assert render_prompt("{document} {0} {x}", workload, None) == "{document} {0} {x}!"


def test_the_chat_template_stands_around_the_prompt() -> None:
    workload = make_workload(prompt=Prompt("p", "Sum up: {document}"))
    assert render_prompt(" text \n", workload, MODEL) == "[INST] Sum up: text [/INST]"


def test_the_warm_up_takes_the_longest_documents_with_their_words_shuffled() -> None:
    [warm] = warmup_documents(DOCUMENTS, 1, seed=0)
    assert warm.document != DOCUMENTS[-1].document
    assert sorted(warm.document.split()) == sorted(DOCUMENTS[-1].document.split())


@pytest.mark.parametrize(
    ("lengths", "count"),
    [([1000] * 100, 17), ([8192, 8192, 10, 10], 8), ([100] * 50, 51), ([16384] * 20, 8)],
    ids=["enough for a full step", "at least eight", "all there are", "long ones"],
)
def test_a_warm_up_on_a_gpu_fills_an_engines_step(lengths: list[int], count: int) -> None:
    assert warmup_count(lengths, "cuda") == count


def test_a_warm_up_on_a_cpu_is_short() -> None:
    assert warmup_count([1000] * 100, "cpu") == 8


def test_the_warm_up_is_the_same_every_time() -> None:
    assert warmup_documents(DOCUMENTS, 3, seed=0) == warmup_documents(DOCUMENTS, 3, seed=0)


def seeds(repeat: int = 1, launch: int = 1) -> list[int]:
    requests = [Request(name, "text", (2, 7), 4) for name in ("a", "b")]
    return [request.seed for request in Seeded(requests, make_job(launch=launch), repeat)]


def test_each_document_draws_with_a_seed_of_its_own_in_each_repeat_and_launch() -> None:
    assert len({*seeds(), *seeds(repeat=2), *seeds(launch=2)}) == 6


def test_the_same_repeat_of_the_same_launch_draws_with_the_same_seeds() -> None:
    assert seeds(repeat=2, launch=3) == seeds(repeat=2, launch=3)
