"""Signs of degenerate output, against examples worked by hand and what must hold of any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.degeneracy import describe, fragment_lengths, repetition, split_words

DOCUMENT = "Fill the kettle with cold water, then wait. Pour the water over the tea and wait again."

WORDS = st.lists(st.sampled_from("abc"), max_size=12)


def test_coverage_and_density_of_a_hand_worked_example() -> None:
    shape = describe("Pour the water slowly over the green tea.", DOCUMENT, cut=False)
    # 8 words, of which pour the water (3), over the (2) and tea (1) are passages; slowly and green occur nowhere
    assert shape.coverage == pytest.approx(6 / 8)
    assert shape.density == pytest.approx((9 + 4 + 1) / 8)
    assert not shape.copied


def test_the_longest_passage_is_taken_wherever_it_stands() -> None:
    assert fragment_lengths(list("aab"), list("aaab")) == [3]


def test_a_passage_of_the_document_is_a_copy_whatever_its_punctuation() -> None:
    assert describe("COLD WATER\nthen wait; pour", DOCUMENT, cut=False).copied


def test_two_passages_of_the_document_are_no_copy() -> None:
    shape = describe("Fill the kettle. Wait again.", DOCUMENT, cut=False)
    assert shape.coverage == 1.0
    assert not shape.copied


def test_half_a_word_that_the_token_limit_left_hides_no_copy() -> None:
    assert describe("Fill the kettle with cold wat", DOCUMENT, cut=True).copied
    assert not describe("Fill the kettle with cold wat", DOCUMENT, cut=False).copied
    assert not describe("Fill a kettle", DOCUMENT, cut=True).copied


def test_an_output_that_begins_with_another_word_is_no_copy_though_the_token_limit_cut_it() -> None:
    assert not describe("Certainly fill the kettle with", DOCUMENT, cut=True).copied
    assert not describe("Summary: tea", DOCUMENT, cut=True).copied


def test_an_output_without_words_has_no_coverage_rather_than_0() -> None:
    for cut in (False, True):
        shape = describe(" …\n", DOCUMENT, cut=cut)
        assert (shape.coverage, shape.density, shape.repetition, shape.copied) == (None, None, None, False)


def test_an_output_of_other_words_has_a_coverage_of_0() -> None:
    shape = describe("Boil eggs", DOCUMENT, cut=False)
    assert (shape.coverage, shape.density) == (0.0, 0.0)


def test_repetition_is_the_share_of_4_grams_that_occurred_before() -> None:
    assert repetition(list("abcdabcda")) == pytest.approx(2 / 6)  # abcd and bcda come twice
    assert repetition(["no"] * 13) == pytest.approx(9 / 10)
    assert repetition(list("abcde")) == 0.0
    assert repetition(list("abc")) is None


def test_words_of_any_script_count_as_words() -> None:
    assert split_words("Café_au-lait, 2×ÉCLAIR! Чай") == ["café", "au", "lait", "2", "éclair", "чай"]


@given(WORDS, WORDS)
def test_fragments_are_no_longer_than_the_words_and_all_of_them_occur_in_the_source(
    words: list[str], source: list[str]
) -> None:
    lengths = fragment_lengths(words, source)
    assert sum(lengths) == sum(word in source for word in words)  # what occurs at all is in some fragment
    joined = "".join(source)
    assert all(any("".join(words[at : at + length]) in joined for at in range(len(words))) for length in lengths)


@given(WORDS.filter(bool), WORDS, WORDS)
def test_any_passage_of_any_source_is_one_fragment(words: list[str], before: list[str], after: list[str]) -> None:
    assert fragment_lengths(words, before + words + after) == [len(words)]


@given(WORDS)
def test_saying_all_again_repeats_at_least_as_much(words: list[str]) -> None:
    assert (repetition(words * 2) or 0) >= (repetition(words) or 0)
