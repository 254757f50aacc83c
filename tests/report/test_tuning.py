"""Tuning's outcome as a text: the answer, what was searched, and the parts below."""

from dataclasses import replace

from pipeline.report import tuning as told
from pipeline.report.build import Options
from pipeline.report.section import as_markdown
from pipeline.tuning.record import Judged, Step, Trial, Tuning
from tests.builders import make_documents, make_report, make_result, make_workload, stored

UNTUNED = Trial("none", {}, "untuned", "ok", 1.0, 10.0)
BEST = Trial("none-t1", {"a": 1, "b": True}, "search", "ok", 2.0, 9.0)
SECOND = Trial("none-t2", {"a": 1}, "alone", "ok", 1.5, 9.0)
FAILED = Trial("none-t3", {"a": 2}, "alone", "failed", None, 3.0, "cuda_oom: out of memory")
TUNING = Tuning(
    of="none",
    model="gemma-3-270m",
    gpu="cpu",
    scenario="offline",
    docs=10,
    budget_s=60.0,
    spent_s=31.0,
    trials=(UNTUNED, BEST, SECOND, FAILED),
    path=(
        Step(None, None, "none", 1.0, None),
        Step("a", 1, "none-t2", 1.5, 1.5),
        Step("b", True, "none-t1", 2.0, 2.0 / 1.5),
    ),
    best="none-t1",
    judged=(Judged("none-t1", "pass", "ROUGE-1 +0.0%"),),
    kept="none-t1",
    preset="none-tuned-cpu-gemma-3-270m",
)


def test_the_answer_has_the_settings_the_factor_and_the_preset() -> None:
    assert told.answer(TUNING) == (
        "none with a 1, b on: 2.000 docs/s, 2.00 times the untuned 1.000; kept as none-tuned-cpu-gemma-3-270m"
    )


def test_the_answer_says_why_the_best_was_not_kept_and_what_was_instead() -> None:
    tuning = replace(TUNING, kept="none-t2", why_not="the quality gate says fail: ROUGE-1")
    assert told.answer(tuning).endswith(
        "; not kept: the quality gate says fail: ROUGE-1; a 1 at 1.500 docs/s is kept as none-tuned-cpu-gemma-3-270m"
    )
    nothing = replace(tuning, kept=None, preset=None)
    assert told.answer(nothing).endswith("; not kept: the quality gate says fail: ROUGE-1")


def test_the_answer_says_where_nothing_was_faster() -> None:
    tuning = replace(TUNING, trials=(UNTUNED, FAILED), best="none", kept=None, preset=None)
    assert told.answer(tuning) == "none as it is, at 1.000 docs/s, was not beaten by more than noise in 1 trial"


def test_the_answer_says_where_there_was_time_for_nothing() -> None:
    tuning = replace(TUNING, trials=(UNTUNED,), best="none", kept=None, preset=None)
    assert told.answer(tuning).endswith("the budget was over before anything else was tried; take a larger --budget")


def test_the_answer_says_what_broke_an_untuned_row() -> None:
    tuning = replace(TUNING, trials=(replace(FAILED, experiment="none", settings={}, why="untuned"),), best=None)
    assert told.answer(tuning) == ("none does not run as it is: cuda_oom: out of memory; there is nothing to tune")
    assert "- none (untuned): cuda_oom: out of memory" in told.document(replace(tuning, path=(), judged=()))


def test_what_was_searched_says_how_far_and_how_long() -> None:
    assert told.searched(TUNING) == (
        "gemma-3-270m on cpu, 10 documents, offline: 4 trials, 1 of which did not come through, 0.5 of 1.0 minutes; "
        "its time was over before it ran out of ideas."
    )
    assert told.searched(replace(TUNING, left=False)).endswith("; nothing was left to try.")


def test_the_way_has_each_step_with_its_gain() -> None:
    [way] = [section for section in told.sections(TUNING) if section.heading == "The way to the best"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in as_markdown(way).splitlines()[4:]]
    assert rows == [
        ["untuned", "–", "1.000", "–", "none"],
        ["a", "1", "1.500", "50.0%", "none-t2"],
        ["b", "on", "2.000", "33.3%", "none-t1"],
    ]


def test_trials_stand_fastest_first_and_failures_have_their_own_part() -> None:
    text = told.document(TUNING)
    trials = text[text.index("## Trials") : text.index("## Did not come through")]
    places = [trials.index(f"| {name} ") for name in ("none-t1", "none-t2", "none", "none-t3")]
    assert places == sorted(places)
    assert "- none-t3 (a 2): cuda_oom: out of memory" in text


def test_the_document_escapes_what_a_failure_says() -> None:
    tuning = replace(TUNING, trials=(UNTUNED, replace(FAILED, failure="<script>alert(1)</script>")))
    assert "<script>" not in told.document(tuning)


def test_parts_that_have_nothing_to_say_are_left_out() -> None:
    tuning = replace(TUNING, trials=(UNTUNED,), path=TUNING.path[:1], judged=(), best="none", kept=None)
    assert [section.heading for section in told.sections(tuning)] == ["Trials", "How to read this"]


def test_the_gate_of_the_report_is_what_a_trial_is_judged_by() -> None:
    scores = [0.1 + number / 1000 for number in range(100)]
    work = make_workload(docs=100)
    kept_parts = {"none": 1.0, "none-t1": 1.0, "none-t2": 0.5}
    report = make_report(
        [
            stored(make_result(name, workload=work, docs=100), make_documents([score * part for score in scores]))
            for name, part in kept_parts.items()
        ],
        Options(baseline="none"),
    )
    found = told.verdicts(report, "none", ["none-t1", "none-t2", "none-t3"])
    assert {name: judged.judgement for name, judged in found.items()} == {
        "none-t1": "pass",
        "none-t2": "fail",
        "none-t3": "unknown",
    }
