from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.worker.backend import Completion, Request, Setup, create_backend

DOCUMENT = "Sand the wood. Wipe it down!\nPaint it twice. Let it dry."


def setup(options: Mapping[str, Any]) -> Setup:
    return Setup(
        weights=None,
        device="cpu",
        dtype="float32",
        options=options,
        batch_size=None,
        max_length=0,
        eos_ids=(),
        seed=0,
    )


def lead(options: Mapping[str, Any], *documents: str) -> list[Completion]:
    backend = create_backend("lead", setup(options))
    backend.load()
    requests = [Request(f"d{number}", document, (), 1) for number, document in enumerate(documents)]
    completions = list(backend.generate(requests, lambda step: pytest.fail(f"on_step was called with {step}")))
    backend.close()
    return completions


def test_the_first_three_sentences_are_taken_unless_told_otherwise() -> None:
    expected = Completion("d0", "Sand the wood. Wipe it down! Paint it twice.", None, "stop")
    assert lead({}, DOCUMENT) == [expected]


def test_options_say_how_many_sentences() -> None:
    assert [completion.text for completion in lead({"sentences": 1}, DOCUMENT)] == ["Sand the wood."]


def test_a_document_with_fewer_sentences_is_taken_whole_and_order_is_kept() -> None:
    completions = lead({}, "Only this.", DOCUMENT)
    assert [(completion.id, completion.text) for completion in completions] == [
        ("d0", "Only this."),
        ("d1", "Sand the wood. Wipe it down! Paint it twice."),
    ]


def test_there_are_no_prompt_ids() -> None:
    assert create_backend("lead", setup({})).encode(["a prompt"]) is None


@pytest.mark.parametrize("options", [{"sentences": 0}, {"sentences": "3"}, {"sentences": True}, {"words": 3}])
def test_wrong_options_are_refused(options: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="options"):
        create_backend("lead", setup(options))
