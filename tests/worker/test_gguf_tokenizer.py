"""The tokenizer that comes of a GGUF file has to be one of words, whatever transformers makes of the file."""

from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Inside

CODE = """
import json, sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from pipeline.errors import BenchmarkError
from pipeline.worker.convert.dequantize_gguf import SENTENCE, check_words

kind, folder = sys.argv[1:]
words = ["\\u2581" + word for word in SENTENCE.split()]
if kind != "characters":
    tokens = ["<unk>", *(words if kind == "words" else words[:-1])]
    model = models.Unigram([(token, -1.0 if token in words else -100.0) for token in tokens], unk_id=0)
else:
    tokens = ["<unk>", *sorted(set("".join(words)))]
    model = models.BPE({token: number for number, token in enumerate(tokens)}, [], unk_token="<unk>")
tokenizer = Tokenizer(model)
tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\\u2581"), normalizers.Replace(" ", "\\u2581")])
tokenizer.decoder = decoders.Sequence([decoders.Replace("\\u2581", " "), decoders.Fuse()])
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
try:
    check_words(Path(folder))
    print(json.dumps(None))
except BenchmarkError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def fault(inside: Inside, tmp_path: Path) -> Any:
    """What is wrong with a tokenizer of that kind, saved in a folder."""
    return lambda kind: inside("transformers", CODE, kind, str(tmp_path))


def test_one_whose_tokens_are_words_is_taken(fault: Any) -> None:
    assert fault("words") is None


def test_one_whose_tokens_are_characters_is_refused_with_the_version_to_take(fault: Any) -> None:
    said = fault("characters")
    assert "cuts 82 characters of English into 83 tokens" in said
    assert said.endswith("prepare with transformers 5.19.0")


def test_one_that_loses_a_word_is_refused_with_what_comes_back(fault: Any) -> None:
    said = fault("all words but one")
    assert "gives 'The committee will publish its report on the future of public transport next" in said
    assert "next week" not in said
