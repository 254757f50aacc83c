"""Checkpoints of a small trained Llama, made as the images that calibrate make them, read back and run by vLLM."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Inside


@dataclass(frozen=True)
class Maker:
    """layout: a converter's module; scale: what its scales' names end in. quantization: what vLLM calls the format."""

    image: str
    form: str
    layout: str
    scale: str
    quantization: str
    made_by: str


MAKERS = (
    Maker("autoawq", "awq-autoawq", "awq_layout", ".scales", "awq", "AutoAWQ 0.2.9, "),
    Maker(
        "llm-compressor", "w4a16", "w4a16_layout", ".weight_scale", "compressed-tensors", "llm-compressor 0.14.0.1, "
    ),
)

# Byte by byte it learns spelling and short words from the documents that are not held out.
TRAIN = """
import importlib, json, sys
from dataclasses import replace
from pathlib import Path

import torch, transformers
from safetensors.torch import load_file, save_file

from pipeline.catalog import load_catalog
from pipeline.documents import read_documents
from pipeline.spec import JobWeights
from pipeline.weights import source_sha256, weights_folder, write_manifest
from pipeline.worker import synthetic
from pipeline.worker.convert import checkpoint
from pipeline.worker.convert.perplexity import DOCUMENTS
from pipeline.worker.prepare import prepare_model

STEPS, BATCH, WINDOW = 150, 4, 128
cache, data = Path(sys.argv[1]), Path(sys.argv[2])
image, form, layout, scale = sys.argv[3:]
layout = importlib.import_module(f"pipeline.worker.convert.{layout}")
torch.manual_seed(0)
torch.set_num_threads(1)
catalog = load_catalog()
small = replace(synthetic.MODEL, name="small", weights={
    "hf": catalog.models["llama-2-7b-chat"].weights["hf"], **catalog.formats})
catalog = replace(catalog, models={"small": small})
source = weights_folder(cache, "small", "hf")
source.mkdir(parents=True)
synthetic.write("hf", source)
texts = [document.document for document in read_documents(data / "sample" / "howto_en.jsonl")]
tokenizer = transformers.AutoTokenizer.from_pretrained(source)
bos = small.bos_id
ids = torch.tensor([i for text in texts[DOCUMENTS:] for i in [bos, *tokenizer.encode(text, add_special_tokens=False)]])
model = transformers.AutoModelForCausalLM.from_pretrained(source).float().train()
torch.nn.init.normal_(model.lm_head.weight, std=0.02)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for _ in range(STEPS):
    rows = torch.stack([ids[at : at + WINDOW] for at in torch.randint(0, len(ids) - WINDOW, (BATCH,))])
    rows[:, 0] = bos
    model(rows, labels=rows).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
model.half().save_pretrained(source)
fetched = JobWeights("hf", source.relative_to(cache).as_posix(), "real", "trained", "0" * 64)
write_manifest(source, fetched, source_sha256(catalog, "small", "hf"))

made = prepare_model(catalog, "small", form, image, cache, data)[form]

held_out = texts[:DOCUMENTS]
rounded = cache / "rounded"
rounded.mkdir()
checkpoint.write_rounded(source, rounded, layout)
_, of_rounded = checkpoint.perplexities(source, rounded, layout, held_out, bos)
tensors = load_file(cache / made.path / "model.safetensors")
stored = sorted({str(tensor.dtype) for tensor in tensors.values() if tensor.is_floating_point()})
for name in [name for name in tensors if name.endswith(scale)]:
    tensors[name] = tensors[name] * 32
broken = cache / "broken"
broken.mkdir()
save_file(tensors, broken / "model.safetensors")
_, of_broken = checkpoint.perplexities(source, broken, layout, held_out, bos)
print()
print(json.dumps({"folder": str(cache / made.path), "made_by": made.made_by, "original": made.perplexity_original,
                  "made": made.perplexity, "rounded": of_rounded, "broken": of_broken, "stored": stored}))
"""

GENERATE = """
import json, sys
from pathlib import Path
from pipeline.worker.backend import Request, Setup, create_backend
from pipeline.worker.surroundings import enter, read_surroundings
enter(read_surroundings()[1], network=False)
options = {"enforce_eager": True, "dtype": "bfloat16"}
backend = create_backend("vllm", Setup(Path(sys.argv[1]), "cpu", "bfloat16", options, 2, 256, (2,), 0))
backend.load()
[ids] = backend.encode(["Pour the water into the pot and "])
[completion] = backend.generate([Request("one", "", tuple(ids), 32)], None)
quantization = backend.settings().quantization
backend.close()
print()
print(json.dumps({"text": completion.text, "tokens": len(completion.output_ids), "quantization": quantization}))
"""


@dataclass(frozen=True)
class Made:
    """seen: the checkpoint's folder, and the perplexities of all that was compared."""

    maker: Maker
    seen: dict[str, Any]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.form)
def made(request: pytest.FixtureRequest, data: Path, inside: Inside, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What each maker made of the same model."""
    maker: Maker = request.param
    folder = tmp_path_factory.mktemp("cache")
    seen = inside(maker.image, TRAIN, str(folder), str(data), maker.image, maker.form, maker.layout, maker.scale)
    return Made(maker, seen)


def test_its_perplexity_is_near_the_originals(made: Made) -> None:
    assert made.seen["original"] < 50  # it has learnt something: 259 tokens that are all as likely make 259
    assert made.seen["made"] < 1.1 * made.seen["original"]


def test_how_it_was_made_says_what_it_was_calibrated_on(made: Made) -> None:
    assert made.seen["made_by"].startswith(made.maker.made_by)
    assert "4-bit, group 128, calibrated on 128 windows" in made.seen["made_by"]
    assert "from 22 documents; perplexities over 8 others" in made.seen["made_by"]


def test_what_is_not_packed_takes_no_more_room_than_in_the_original(made: Made) -> None:
    assert made.seen["stored"] == ["torch.float16"]


def test_a_damaged_checkpoint_shows_in_its_perplexity(made: Made) -> None:
    assert made.seen["broken"] > 1.1 * made.seen["original"]


def test_vllm_loads_it_in_its_format_and_writes_words(made: Made, inside: Inside) -> None:
    seen = inside("vllm", GENERATE, made.seen["folder"])

    assert made.maker.quantization in seen["quantization"]
    assert seen["tokens"] == 32
    assert seen["text"].isascii() and " " in seen["text"].strip()
