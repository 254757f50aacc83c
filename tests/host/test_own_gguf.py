"""--model with a GGUF file: described by its metadata and its tensors' shapes and types, and laid into the cache."""

import struct
from pathlib import Path
from typing import Any

import pytest

from pipeline.entries import Attention, Model
from pipeline.errors import UsageError
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.own.adopt import adopt, lay_out_folders
from pipeline.host.own.gguf import describe_gguf
from pipeline.worker.prepare import prepare
from pipeline.worker.synthetic import gguf, llama
from tests.machines import CATALOG

TEMPLATE = "{{ bos_token }}[INST] {{ messages[0].content }} [/INST]"


def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **metadata: tuple[int, Any] | None) -> Model:
    """Of the synthetic model's file, with other metadata: keys with _ for the dots; None takes one away."""
    usual = gguf._metadata()
    changed = {**usual, **{name.replace("__", "."): value for name, value in metadata.items()}}
    monkeypatch.setattr(gguf, "_metadata", lambda: {key: value for key, value in changed.items() if value is not None})
    return describe_gguf(gguf.write(tmp_path), "model", "0" * 40, 0.1)


def test_the_file_says_what_decides_memory_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = described(tmp_path, monkeypatch)
    assert (model.parameters, model.context_length) == (llama.PARAMETERS, llama.CONTEXT_LENGTH)
    assert model.output_parameters == llama.VOCABULARY_SIZE * llama.HIDDEN
    assert model.linear_parameters == llama.PARAMETERS - 2 * llama.VOCABULARY_SIZE * llama.HIDDEN - 5 * llama.HIDDEN
    assert model.attention == Attention(llama.LAYERS, llama.KV_HEADS, llama.HEAD_SIZE)
    assert model.eos_ids == (llama.EOS_ID,)
    [(form, source)] = model.weights.items()
    assert (form, source.path, source.bits, source.output_bits) == ("gguf", gguf.FILE, 4.5, 4.5)


@pytest.mark.parametrize(("told", "bos_id"), [(True, llama.BOS_ID), (False, None)])
def test_bos_stands_first_where_the_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool, bos_id: int | None
) -> None:
    model = described(tmp_path, monkeypatch, tokenizer__ggml__add_bos_token=(gguf.BOOL, told))
    assert model.bos_id == bos_id


def test_its_chat_template_stands_around_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = described(
        tmp_path,
        monkeypatch,
        tokenizer__chat_template=(gguf.STRING, TEMPLATE),
        tokenizer__ggml__eot_token_id=(gguf.UINT32, 7),
    )
    assert (model.prompt_prefix, model.prompt_suffix, model.bos_id) == ("[INST] ", " [/INST]", llama.BOS_ID)
    assert (model.prompt, model.eos_ids) == ("published-hf", (llama.EOS_ID, 7))


def test_layers_that_look_back_a_window_leave_the_shape_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert described(tmp_path, monkeypatch, llama__attention__sliding_window=(gguf.UINT32, 512)).attention is None


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"llama__context_length": None}, r"metadata: llama\.context_length: None is no number"),
        ({"tokenizer__ggml__eos_token_id": None}, r"tokenizer\.ggml\.eos_token_id: None is no number"),
        ({"split__count": (gguf.UINT32, 3)}, "one of 3 files; merge them first"),
    ],
)
def test_what_can_not_be_told_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        described(tmp_path, monkeypatch, **metadata)


@pytest.mark.parametrize(
    "content",
    [b"", b"GGUF", b"GGUF" + struct.pack("<IQQ", 1, 0, 0), b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60)],
    ids=["empty", "cut", "an old version", "more than there is"],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"model\.gguf: no whole GGUF file"):
        describe_gguf(path, "model", "0" * 40, 0.1)


def test_it_is_laid_into_the_cache_as_the_one_format_that_it_is(tmp_path: Path) -> None:
    path = gguf.write(tmp_path).rename(tmp_path / "my model.Q4_K.gguf")
    cache = tmp_path / "cache"
    given = ["--prepare", "--all", "--gpu", "cpu", "--model", str(path), "--cache", str(cache)]
    arguments, catalog = adopt(parse(given, CATALOG, LAUNCHERS), CATALOG)
    [name] = arguments.models
    assert name.startswith("my-model.Q4_K--")
    assert set(catalog.models[name].weights) == {"gguf"}
    lay_out_folders([catalog.models[name]], cache)
    weights = prepare(catalog, name, "gguf", cache, tmp_path)
    assert (cache / weights.path).read_bytes() == path.read_bytes()
