from pipeline.analysis.sentences import split_sentences


def test_sentences_end_at_full_stops_question_and_exclamation_marks() -> None:
    assert split_sentences("Wet the cloth. Is it wet? Wring it out! Done.") == [
        "Wet the cloth.",
        "Is it wet?",
        "Wring it out!",
        "Done.",
    ]


def test_abbreviations_end_no_sentence() -> None:
    text = "Dr. Lee adds 2 oz. of oil, approx. 3 lb. of flour, etc. as in fig. 4, e.g. at 5 p.m. on Friday. Then rest."
    assert split_sentences(text) == [text.removesuffix(" Then rest."), "Then rest."]


def test_decimal_points_and_initials_end_no_sentence() -> None:
    assert split_sentences("Ask J. K. Brown for 3.5 cm of tape. Cut it.") == [
        "Ask J. K. Brown for 3.5 cm of tape.",
        "Cut it.",
    ]


def test_a_word_that_is_an_abbreviation_elsewhere_ends_its_sentence() -> None:
    assert split_sentences("Bring the cables in. Wait for 5 min. Then go.") == [
        "Bring the cables in.",
        "Wait for 5 min.",
        "Then go.",
    ]


def test_a_line_break_always_ends_a_sentence() -> None:
    assert split_sentences("Gather the tools\nsand the wood\r\nPaint it.") == [
        "Gather the tools",
        "sand the wood",
        "Paint it.",
    ]


def test_sentences_are_stripped_and_empty_ones_dropped() -> None:
    assert split_sentences("  One.   Two. \n\n \t\n  Three. ") == ["One.", "Two.", "Three."]
    assert split_sentences(" \n ") == []


def test_a_closing_quotation_mark_stays_with_its_sentence() -> None:
    assert split_sentences('She said "Stop." Then she left.') == ['She said "Stop."', "Then she left."]


def test_no_word_is_lost() -> None:
    text = "Café au lait… costs €3.50! No. 5 isn’t “free.” 😀 Really? Yes; e.g. here: U.S. prices.\nEnd"
    assert " ".join(split_sentences(text)).split() == text.split()
