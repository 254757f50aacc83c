"""What a model's own files say of it: context, ends, BOS, attention, formats, and its parameters by its tensors."""

from typing import Any

import pytest

from pipeline.entries import Attention, Model, WeightsSource
from pipeline.errors import UsageError
from pipeline.host.own.describe import Checkpoint, describe
from pipeline.host.own.shapes import Counts, count

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "vocab_size": 1000,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
}
SHAPES = {
    "model.embed_tokens.weight": (1000, 256),
    "model.layers.0.self_attn.q_proj.weight": (256, 256),
    "model.layers.0.self_attn.q_proj.bias": (256,),
    "model.layers.0.input_layernorm.weight": (256,),
    "model.norm.weight": (256,),
    "lm_head.weight": (1000, 256),
}
SOURCE = WeightsSource("hub", repo="org/model", revision="0" * 40)


def described(
    tokenizer: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
    template: str | None = None,
    whole: dict[str, Any] | None = None,
    **config: Any,
) -> Model:
    small: dict[str, Any] = {"config.json": {**CONFIG, **config}, "tokenizer_config.json": tokenizer or {}}
    if generation is not None:
        small["generation_config.json"] = generation
    found = Checkpoint("org/model", small, SHAPES, template, lambda: whole)
    return describe(found, "model", "a model", "Apache 2.0", SOURCE)


def test_the_entry_has_what_decides_memory_and_time() -> None:
    model = described()
    assert (model.context_length, model.parameters) == (4096, 2 * 256_000 + 65_536 + 3 * 256)
    assert (model.linear_parameters, model.output_parameters) == (65_536, 256_000)
    assert model.attention == Attention(4, 2, 32)
    assert model.weights == {"hf": WeightsSource("hub", repo="org/model", revision="0" * 40, image="transformers")}
    assert model.architecture is not None
    assert {"vocab_size", "torch_dtype", "bos_token_id"} & set(model.architecture) == {"vocab_size"}


def test_tied_embeddings_are_the_output_layer_and_counted_once() -> None:
    assert count(SHAPES, tied=True) == Counts(256_000 + 65_536 + 3 * 256, 65_536, 256_000)


def test_packed_weights_of_4_bits_count_as_the_numbers_that_they_stand_for() -> None:
    shapes = {
        "model.layers.0.mlp.down_proj.qweight": (512, 256 // 8),
        "model.layers.0.mlp.down_proj.qzeros": (4, 32),
        "model.layers.0.mlp.down_proj.scales": (4, 256),
        "lm_head.weight": (1000, 256),
    }
    assert count(shapes, tied=False) == Counts(512 * 256 + 256_000, 512 * 256, 256_000)


def test_a_quantised_repository_is_the_awq_format() -> None:
    quantization = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}
    [(form, source)] = described(quantization_config=quantization).weights.items()
    assert (form, source.bits) == ("awq", 4.16)


@pytest.mark.parametrize(
    "quantization",
    [{"quant_method": "gptq", "bits": 4}, {"quant_method": "awq", "bits": 8, "group_size": 128}, "awq"],
)
def test_weights_that_no_experiment_reads_are_refused(quantization: Any) -> None:
    with pytest.raises(UsageError, match=r"quantization_config: .* is read by no experiment"):
        described(quantization_config=quantization)


def test_a_chat_model_ends_where_either_of_its_files_says() -> None:
    assert described(generation={"eos_token_id": [7, 2]}, eos_token_id=2).eos_ids == (7, 2)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["BertModel"]}, r"\['BertModel'\] names no \.\.\.ForCausalLM"),
        ({"architectures": None}, "None names no"),
        ({"max_position_embeddings": "many"}, "max_position_embeddings: 'many' is no number of tokens"),
        ({"eos_token_id": None}, "eos_token_id is missing"),
    ],
)
def test_what_can_not_be_told_is_named(config: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^org/model: config.json: .*{said}"):
        described(**config)


def test_a_folder_without_configuration_is_refused() -> None:
    with pytest.raises(UsageError, match=r"has no config\.json"):
        describe(Checkpoint("here", {}, SHAPES), "model", "", "", SOURCE)


TEMPLATE = "{{ bos_token }}[INST] {{ messages[0].content }} [/INST]"
WITHOUT_BOS = "[INST] {{ messages[0].content }} [/INST]"
ADDS = {"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]}}
IN_SEQUENCE = {"post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, ADDS["post_processor"]]}}
PLAIN = {"post_processor": {"type": "ByteLevel"}}


@pytest.mark.parametrize(
    ("tokenizer", "template", "whole", "bos_id"),
    [
        ({"bos_token": "<s>"}, TEMPLATE, None, 1),
        ({"bos_token": {"content": "<s>"}}, TEMPLATE, None, 1),
        ({"bos_token": "<s>", "add_bos_token": True}, WITHOUT_BOS, None, None),
        ({"bos_token": None}, WITHOUT_BOS, ADDS, None),
        ({"bos_token": "<s>", "add_bos_token": True}, None, PLAIN, 1),
        ({"bos_token": "<s>", "add_bos_token": False}, None, ADDS, None),
        ({"bos_token": "<s>"}, None, ADDS, 1),
        ({"bos_token": "<s>"}, None, IN_SEQUENCE, 1),
        ({"bos_token": "<s>"}, None, PLAIN, None),
        ({"bos_token": "<s>", "tokenizer_class": "LlamaTokenizer"}, None, None, 1),
        ({"bos_token": "<s>", "tokenizer_class": "GPT2Tokenizer"}, None, None, None),
        ({"bos_token": "<s>", "added_tokens_decoder": {"5": {"content": "<s>"}}}, TEMPLATE, None, 5),
    ],
)
def test_bos_stands_first_where_the_template_or_else_the_tokenizer_puts_it(
    tokenizer: dict[str, Any], template: str | None, whole: dict[str, Any] | None, bos_id: int | None
) -> None:
    assert described(tokenizer, template=template, whole=whole).bos_id == bos_id


def test_a_chat_model_is_told_what_to_do_and_a_base_model_continues_a_text() -> None:
    assert [described(template=one).prompt for one in (WITHOUT_BOS, None)] == ["published-hf", "published-vllm"]
    chat = described({"bos_token": "<s>", "chat_template": TEMPLATE})
    assert (chat.prompt_prefix, chat.prompt_suffix) == ("[INST] ", " [/INST]")


def test_of_several_templates_the_default_is_taken() -> None:
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": WITHOUT_BOS}]
    assert described({"chat_template": named}).prompt_prefix == "[INST] "


def test_a_template_in_a_file_of_its_own_comes_first() -> None:
    assert described({"chat_template": "old"}, template=WITHOUT_BOS).prompt_prefix == "[INST] "


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        ({"sliding_window": 512, "layer_types": ["sliding_attention", "full_attention"] * 2}, (2, 512)),
        ({"sliding_window": 4096}, (4, 4096)),
        ({"sliding_window": None}, (0, 0)),
        ({"sliding_window": 4096, "use_sliding_window": False}, (0, 0)),
    ],
)
def test_layers_that_look_back_a_window_are_counted(config: dict[str, Any], windows: tuple[int, int]) -> None:
    attention = described(**config).attention
    assert attention is not None and (attention.windowed_layers, attention.window) == windows


def test_a_shape_in_unusual_terms_is_not_known() -> None:
    assert described(num_hidden_layers=None).attention is None
