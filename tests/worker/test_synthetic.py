"""The synthetic model: the same bytes every time, and files that the engines' own libraries read."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.worker import synthetic
from pipeline.worker.synthetic import llama
from tests.worker.conftest import Inside

TEXT = "Wärme\n<s> two  spaces"


@pytest.mark.parametrize("form", ["hf", "gguf"])
def test_another_process_writes_the_same_bytes(form: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    synthetic.write(form, tmp_path / "here")
    code = (
        "import sys; from pathlib import Path; from pipeline.worker import synthetic as s; s.write(sys.argv[1], Path())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, form], cwd=tmp_path / "there", env=environment, check=True)

    here = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert here == {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}


def test_the_tensors_of_a_checkpoint_fill_its_file_without_a_gap(tmp_path: Path) -> None:
    content = (synthetic.write("hf", tmp_path) / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    places = sorted(entry["data_offsets"] for name, entry in header.items() if name != "__metadata__")

    assert [start for start, _ in places] == [0, *(end for _, end in places[:-1])]
    assert places[-1][1] == len(content) - 8 - length == llama.PARAMETERS * 2


def test_every_byte_has_a_token_of_its_own() -> None:
    assert len(set(llama.vocabulary())) == llama.VOCABULARY_SIZE


def test_transformers_finds_every_weight_it_expects_and_no_other(inside: Inside, tmp_path: Path) -> None:
    code = """
import json, sys, transformers
model, found = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)
print(json.dumps([list(found["missing_keys"]), list(found["unexpected_keys"]), model.num_parameters()]))
"""
    folder = str(synthetic.write("hf", tmp_path))

    assert inside("transformers", code, folder) == [[], [], llama.PARAMETERS]


def test_the_gguf_library_reads_quantised_weights_of_the_intended_spread(inside: Inside, tmp_path: Path) -> None:
    code = """
import json, sys, gguf
seen = {}
for tensor in gguf.GGUFReader(sys.argv[1]).tensors:
    numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
    seen[tensor.name] = [tensor.tensor_type.name, list(numbers.shape), float(numbers.mean()), float(numbers.std())]
print(json.dumps(seen))
"""
    seen = inside("transformers", code, str(synthetic.write("gguf", tmp_path)))

    assert {name: tuple(shape) for name, (_, shape, _, _) in seen.items()} == {t.gguf: t.shape for t in llama.TENSORS}
    kind, _, mean, deviation = seen["blk.0.attn_q.weight"]
    assert kind == "Q4_K"
    assert abs(mean) < 0.02 * llama.DEVIATION
    assert deviation == pytest.approx(llama.DEVIATION, rel=0.02)
    assert seen["output_norm.weight"] == ["F32", [llama.HIDDEN], 1.0, 0.0]


def test_the_library_of_compressed_tensors_reads_w4a16_weights_as_the_same_numbers(
    inside: Inside, tmp_path: Path
) -> None:
    code = """
import json, sys, torch, transformers
from pathlib import Path
from pipeline.worker import synthetic
from pipeline.worker.convert import checkpoint, w4a16_layout
folder = synthetic.write("w4a16", Path(sys.argv[1]))
read = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
source = transformers.AutoModelForCausalLM.from_pretrained(folder.parent / "source").float()
ours = transformers.AutoModelForCausalLM.from_pretrained(folder.parent / "source").float()
ours.load_state_dict(checkpoint.dequantized(checkpoint.load_tensors(folder), w4a16_layout))
ids = torch.arange(3, 40).unsqueeze(0)
with torch.inference_mode():
    logits = [model(ids).logits for model in (read, ours, source)]
print(json.dumps([float((logits[0] - other).abs().max()) for other in logits[1:]]))
"""
    to_ours, to_source = inside("llm-compressor", code, str(tmp_path))

    assert to_ours < 1e-4
    assert to_source > 0.01


def test_transformers_and_llama_cpp_read_a_text_as_the_same_bytes(inside: Inside, tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from pipeline.worker.backend import Setup, create_backend
backend = create_backend(sys.argv[1], Setup(Path(sys.argv[2]), "cpu", "float32", {}, 1, 256, (2,), 0))
backend.load()
print("\\n" + json.dumps(backend.encode([sys.argv[3]])))
backend.close()
"""
    (tmp_path / "hf").mkdir()
    checkpoint, gguf = synthetic.write("hf", tmp_path / "hf"), synthetic.write("gguf", tmp_path)
    before, after = TEXT.split("<s>")
    expected = [*map(llama.token_id, before.encode()), llama.BOS_ID, *map(llama.token_id, after.encode())]

    assert inside("transformers", code, "transformers", str(checkpoint), TEXT) == [expected]
    assert inside("llama-cpp", code, "llama_cpp", str(gguf), TEXT) == [expected]


def test_there_are_synthetic_weights_for_every_experiment() -> None:
    assert {item.weights for item in load_catalog().experiments.values()} - {None} <= set(synthetic.MODEL.weights)
