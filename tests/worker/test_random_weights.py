"""Random checkpoints: shapes of the true models, tokenizers of the true size, the same numbers everywhere, and run."""

from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.weights import source_sha256
from tests.worker.conftest import Inside

CATALOG = load_catalog()

SHAPES = """
import copy, json, math
from pipeline.catalog import load_catalog
from pipeline.worker.convert.checkpoint import is_linear
from pipeline.worker.convert.random_weights import shapes
counted = {}
for model in load_catalog().models.values():
    entry = copy.deepcopy(model)
    sizes = {name.removesuffix(".weight"): math.prod(shape) for name, shape in shapes(model).items()}
    counted[model.name] = [
        sum(sizes.values()),
        sum(size for name, size in sizes.items() if is_linear(name)),
        sizes.get("lm_head", sizes["model.embed_tokens"]),
        model == entry,
    ]
print()
print(json.dumps(counted))
"""

# Of Llama 2's vocabulary, and otherwise as small as an AWQ layout allows.
MAKE = """
import json, sys
from dataclasses import replace
from pathlib import Path
import transformers
from pipeline.catalog import load_catalog
from pipeline.weights import weights_sha256
from pipeline.worker.convert import awq_layout, checkpoint, random_awq
from pipeline.worker.prepare import prepare_model
cache, data, again = (Path(argument) for argument in sys.argv[1:])
catalog = load_catalog()
llama = catalog.models["llama-2-7b-chat"]
sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2}
small = replace(llama, name="small", architecture={**llama.architecture, **sizes})
catalog = replace(catalog, models={"small": small})
made = {form: prepare_model(catalog, "small", f"synthetic-{form}", None, cache, data)[f"synthetic-{form}"]
        for form in ("hf", "awq")}
folders = {form: cache / weights.path for form, weights in made.items()}
tokenizer = transformers.AutoTokenizer.from_pretrained(folders["hf"])
plain = checkpoint.load_tensors(folders["hf"])
packed = checkpoint.dequantized(checkpoint.load_tensors(folders["awq"]), awq_layout)
layer = "model.layers.1.mlp.down_proj.weight"
again.mkdir()
random_awq.convert(cache / "models" / "small" / "synthetic-tokenizer" / "tokenizer.model.v1", again, [], small)
loaded = transformers.AutoModelForCausalLM.from_pretrained(folders["hf"])
other = replace(small, name="other", bos_id=None, architecture={
    **load_catalog().models["qwen2.5-0.5b-instruct"].architecture, **sizes, "vocab_size": 32001})
catalog = replace(catalog, models={"other": other})
of_other = transformers.AutoTokenizer.from_pretrained(
    cache / prepare_model(catalog, "other", "synthetic-hf", None, cache, data)["synthetic-hf"].path)
print()
print(json.dumps({
    "folders": {form: str(folder) for form, folder in folders.items()},
    "kinds": sorted({weights.kind for weights in made.values()}),
    "revision": made["hf"].revision,
    "perplexity": made["awq"].perplexity,
    "vocabulary": len(tokenizer),
    "of_other": [len(of_other), of_other.pad_token_id],
    "ids": tokenizer.encode("Boil the water.\\n\\nThen wait.", add_special_tokens=False),
    "text": tokenizer.decode(tokenizer.encode("Boil the water. Then wait.", add_special_tokens=False)),
    "deviations": [plain[layer].float().std().item(), packed[layer].float().std().item()],
    "shapes": [list(plain[layer].shape), list(packed[layer].shape)],
    "norm": plain["model.norm.weight"].float().unique().tolist(),
    "same": weights_sha256(again) == made["awq"].sha256,
    "layers": loaded.config.num_hidden_layers,
    "notices": sorted(path.name for path in (cache / "models" / "small" / "synthetic-tokenizer").glob("LICENSE*")),
}))
"""

GENERATE = """
import json, sys
from pathlib import Path
from pipeline.worker.backend import Request, Setup, create_backend
from pipeline.worker.surroundings import enter, read_surroundings
enter(read_surroundings()[1], network=False)
backend_name, weights, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
ends = tuple(range(0, 32000, 2))  # half of all ids would end a completion that is not told to go on
backend = create_backend(backend_name, Setup(weights, "cpu", "bfloat16", options, 2, 64, ends, 0))
backend.load()
[ids] = backend.encode(["Pour the water into the pot and "])
requests = [Request(name, "", tuple(ids), 12, full_length=True) for name in ("one", "two")]
made = list(backend.generate(requests, None))
quantization = backend.settings().quantization
backend.close()
print()
print(json.dumps({"tokens": [len(item.output_ids) for item in made], "ends": [item.finish_reason for item in made],
                  "quantization": quantization}))
"""


@pytest.fixture(scope="module")
def made(inside: Inside, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both formats of a small Llama, and what can be said of them."""
    folder = tmp_path_factory.mktemp("random")
    return inside("transformers", MAKE, str(folder / "cache"), str(folder / "data"), str(folder / "again"))


@pytest.fixture(scope="module")
def counted(inside: Inside) -> Any:
    """Of every model: all parameters, the linear layers', the output layer's; and whether its entry is as it was."""
    return inside("transformers", SHAPES)


def test_every_models_architecture_has_the_parameters_that_its_entry_counts(counted: Any) -> None:
    for name, model in CATALOG.models.items():
        assert counted[name][:3] == [model.parameters, model.linear_parameters, model.output_parameters], name


def test_a_model_that_is_made_leaves_its_entry_as_it_was(counted: Any) -> None:
    assert [name for name, (*_, unchanged) in counted.items() if not unchanged] == []


def test_every_models_architecture_has_the_attention_that_its_entry_names() -> None:
    for model in CATALOG.models.values():
        assert model.architecture and model.attention, model.name
        shape = model.architecture
        head_dim = shape.get("head_dim", shape["hidden_size"] // shape["num_attention_heads"])
        named = (model.attention.layers, model.attention.kv_heads, model.attention.head_dim)
        assert named == (shape["num_hidden_layers"], shape["num_key_value_heads"], head_dim), model.name


def test_a_tokenizer_class_of_the_models_own_adds_no_token_without_an_embedding(made: Any) -> None:
    assert made["of_other"] == [32001, 0]


def test_the_shape_decides_whether_prepared_weights_are_up_to_date() -> None:
    llama, mistral = (
        source_sha256(CATALOG, name, "synthetic-hf") for name in ("llama-2-7b-chat", "mistral-7b-instruct")
    )
    assert llama != mistral


def test_they_are_labelled_synthetic_and_have_no_perplexity(made: Any) -> None:
    assert made["kinds"] == ["synthetic"]
    assert made["revision"] == "random_hf@1.13.1"
    assert made["perplexity"] is None


def test_the_tokenizer_has_the_models_vocabulary_and_the_stand_ins_ids(made: Any) -> None:
    assert made["vocabulary"] == 32000
    assert made["ids"] == [3268, 309, 272, 2130, 28723, 13, 13, 11341, 2444, 28723]
    assert made["text"] == "Boil the water. Then wait."


def test_the_stand_in_tokenizers_licence_stands_beside_it(made: Any) -> None:
    assert made["notices"] == ["LICENSE"]


def test_matrices_spread_as_transformers_initialises_them_in_both_formats(made: Any) -> None:
    assert made["shapes"] == [[256, 512], [256, 512]]
    assert made["deviations"] == pytest.approx([0.02, 0.02], rel=0.02)


def test_norms_leave_their_input_as_it_is(made: Any) -> None:
    assert made["norm"] == [1.0]


def test_the_same_numbers_are_made_again(made: Any) -> None:
    assert made["same"]


@pytest.mark.parametrize(
    ("image", "backend", "form", "quantization", "options"),
    [
        ("transformers", "transformers", "hf", None, '{"attention": "sdpa"}'),
        ("vllm", "vllm", "hf", None, '{"enforce_eager": true}'),
        ("vllm", "vllm", "awq", "awq", '{"enforce_eager": true}'),
    ],
)
def test_an_engine_runs_them_to_the_token_limit_whatever_ids_come(
    inside: Inside, made: Any, image: str, backend: str, form: str, quantization: str | None, options: str
) -> None:
    seen = inside(image, GENERATE, backend, made["folders"][form], options)
    assert (seen["tokens"], seen["ends"]) == ([12, 12], ["length", "length"])
    assert seen["quantization"] == quantization
