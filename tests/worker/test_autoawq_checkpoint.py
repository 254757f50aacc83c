"""A checkpoint of a small trained Llama, made as AutoAWQ's image makes it, read back and run by vLLM.

Minutes of work, so it is done where both environments are there: `python orchestrator.py --experiment vllm-autoawq
--prepare` makes them.
"""

from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.host.environments import environment_folder
from tests.worker.conftest import Inside

# Byte by byte it learns spelling and short words from the documents that are not held out.
TRAIN = """
import json, sys
from dataclasses import replace
from pathlib import Path

import torch, transformers
from safetensors.torch import load_file, save_file

from pipeline.catalog import load_catalog
from pipeline.documents import read_documents
from pipeline.spec import JobWeights
from pipeline.weights import source_sha256, weights_folder, write_manifest
from pipeline.worker import synthetic
from pipeline.worker.convert import awq_checkpoint, rtn_awq
from pipeline.worker.convert.perplexity import DOCUMENTS
from pipeline.worker.prepare import prepare_model

STEPS, BATCH, WINDOW = 150, 4, 128
cache, data = Path(sys.argv[1]), Path(sys.argv[2])
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

made = prepare_model(catalog, "small", "awq-autoawq", "autoawq", cache, data)["awq-autoawq"]

rounded = cache / "rounded"
rounded.mkdir()
plain = rtn_awq.convert(source, rounded, texts, bos)
tensors = load_file(cache / made.path / "model.safetensors")
for name in [name for name in tensors if name.endswith(".scales")]:
    tensors[name] = tensors[name] * 32
broken = cache / "broken"
broken.mkdir()
save_file(tensors, broken / "model.safetensors")
_, of_broken = awq_checkpoint.perplexities(source, broken, texts[:DOCUMENTS], bos)
print()
print(json.dumps({"folder": str(cache / made.path), "made_by": made.made_by, "original": made.perplexity_original,
                  "autoawq": made.perplexity, "rounded": plain.perplexity, "broken": of_broken}))
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


@pytest.fixture(scope="module")
def made(cache: Path, data: Path, inside: Inside, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checkpoint's folder, and the perplexities of all that was compared."""
    for name in ("autoawq", "vllm"):
        image = load_catalog().images[name]
        if not environment_folder(cache, image, image.variants[0]).is_dir():
            pytest.skip(f"the environment of image {name} is not there; see the top of this file")
    seen: dict[str, Any] = inside("autoawq", TRAIN, str(tmp_path_factory.mktemp("cache")), str(data))
    return seen


def test_its_perplexity_is_near_the_originals(made: dict[str, Any]) -> None:
    assert made["original"] < 50  # it has learnt something: 259 tokens that are all as likely make 259
    assert made["autoawq"] < 1.1 * made["original"]


def test_how_it_was_made_says_what_it_was_calibrated_on(made: dict[str, Any]) -> None:
    assert made["made_by"].startswith("AutoAWQ 0.2.9, 4-bit, group 128, calibrated on 128 windows")
    assert "from 22 documents; perplexities over 8 others" in made["made_by"]


def test_a_damaged_checkpoint_shows_in_its_perplexity(made: dict[str, Any]) -> None:
    assert made["broken"] > 1.1 * made["original"]


def test_vllm_loads_it_as_awq_and_writes_words(made: dict[str, Any], inside: Inside) -> None:
    seen = inside("vllm", GENERATE, made["folder"])

    assert "awq" in seen["quantization"]
    assert seen["tokens"] == 32
    assert seen["text"].isascii() and " " in seen["text"].strip()
