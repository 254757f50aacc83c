"""Tuning over jobs that take no time: their speed is a function of what was changed, and the clock is the test's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.catalog import load_catalog
from pipeline.datasets import Dataset
from pipeline.errors import UsageError
from pipeline.host.execute import Execution, Policy, Rerun
from pipeline.host.prepare import Prepared
from pipeline.host.runs import RunFolder
from pipeline.host.session import find_dataset, make_requests
from pipeline.host.tune import Tuner, keep
from pipeline.plan import PlannedJob, Request, Selected, select
from pipeline.report.watch import LineWatcher
from pipeline.results import Failure, Result
from pipeline.tuning.preset import with_presets
from pipeline.tuning.record import TUNING_FILE, Judged, Judgement, Tuning, read_tuning
from pipeline.tuning.space import Setting, Space
from tests.builders import make_result, make_workload
from tests.machines import CPU, can_run, make_session

CATALOG = load_catalog()
MODEL = CATALOG.models["gemma-3-270m"]
SPACE = Space((Setting("a", "x.a", (1, 2)), Setting("b", "x.b", (1, 2)), Setting("c", "x.c", (1,))))
WORTH_ALONE = {("a", 1): 1.2, ("a", 2): 0.9, ("b", 1): 1.0, ("b", 2): 1.5, ("c", 1): 1.001}
"""The factors multiply: a 1 with b 2 is best, and c is noise."""
FAILURE = Failure("cuda_oom", "generate", "CUDA out of memory", None)

Speed = Callable[[Mapping[str, Any]], float | None]


def independent(settings: Mapping[str, Any]) -> float:
    speed = 1.0
    for item in settings.items():
        speed *= WORTH_ALONE[item]
    return speed


@dataclass
class Jobs:
    """Stands in for Execution: each job takes `seconds` of the clock. code: what results hold for, as a job's key."""

    speed: Speed
    seconds: float = 60.0
    code: str = "as it is"
    now_s: float = 0.0
    started: list[str] = field(default_factory=list)
    results: dict[tuple[str, str, str], Result] = field(default_factory=dict)
    hardware: Any = CPU
    policy: Policy = field(default_factory=Policy)
    folder: Path = Path()

    def kept(self, item: Selected, request: Request, prepared: Prepared) -> Result | None:
        earlier = self.results.get(self._key(item))
        return earlier if earlier and earlier.status == "ok" and self.policy.rerun != "fresh" else None

    def run_all(self, planned: Sequence[PlannedJob], prepared: Prepared) -> list[Result]:
        [(item, request)] = planned
        assert isinstance(item, Selected)
        earlier = self.kept(item, request, prepared)
        if earlier:
            return [earlier]
        experiment = item.experiment
        self.started.append(experiment.name)
        (self.folder / f"{experiment.name}.{MODEL.name}.offline--12345678").mkdir(exist_ok=True)
        self.now_s += self.seconds
        speed = self.speed(experiment.tuned.settings if experiment.tuned else {})
        made = make_result(experiment.name, speed)
        if speed is None:
            made = replace(make_result(experiment.name, status="failed"), failure=FAILURE)
        self.results[self._key(item)] = made
        return [made]

    def _key(self, item: Selected) -> tuple[str, str, str]:
        return (item.experiment.name, repr(item.experiment.options), self.code)


@dataclass
class Bench:
    """A run's folder, and tuners over it that share what the jobs left."""

    results: Path
    jobs: Jobs
    run: str = "run"

    def tuner(self, minutes: float = 1000.0, rerun: Rerun = "missing", of: str = "none", **changes: Any) -> Tuner:
        [item] = select([of], CATALOG, MODEL, CPU, can_run)
        assert isinstance(item, Selected)
        self.jobs.policy = Policy(rerun)
        folder = RunFolder(self.results, self.run)
        folder.make()
        self.jobs.folder = folder.path
        given = {
            "item": item,
            "space": SPACE,
            "execution": cast(Execution, self.jobs),
            "request": Request(self.run, "offline", None, make_workload(), MODEL, "process"),
            "prepared": Prepared(),
            "folder": folder,
            "budget_s": minutes * 60.0,
            "watcher": LineWatcher(),
            "clock": lambda: self.jobs.now_s,
        }
        return Tuner(**{**given, **changes})

    def tune(self, minutes: float = 1000.0, judgement: Judgement = "pass", **changes: Any) -> Tuning:
        tuner = self.tuner(minutes, **changes)
        return keep(tuner.run(gate(judgement)), tuner, self.results)

    def presets(self) -> list[str]:
        return [name for name, item in with_presets(CATALOG, self.results).experiments.items() if item.tuned]


def gate(judgement: Judgement, **others: Judgement) -> Callable[[Sequence[str]], Mapping[str, Judged]]:
    return lambda names: {name: Judged(name, others.get(name, judgement), "a reason") for name in names}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "results", Jobs(independent))


def settings_of(tuning: Tuning, name: str | None) -> dict[str, Any]:
    return next(dict(trial.settings) for trial in tuning.trials if trial.experiment == name)


def test_it_finds_the_best_combination_and_leaves_out_what_gains_nothing(bench: Bench) -> None:
    found = bench.tune()
    assert settings_of(found, found.best) == {"a": 1, "b": 2}
    assert not found.left


def test_the_way_goes_setting_by_setting_from_the_untuned_row_the_one_that_gains_most_first(bench: Bench) -> None:
    way = bench.tune().path
    assert [(step.setting, step.value) for step in way] == [(None, None), ("b", 2), ("a", 1)]
    assert [step.gain for step in way[1:]] == pytest.approx([1.5, 1.2])


def test_the_untuned_row_comes_first_under_its_own_name_and_trials_have_names_of_their_own(bench: Bench) -> None:
    found = bench.tune()
    assert bench.jobs.started[0] == "none"
    assert len(set(bench.jobs.started)) == len(bench.jobs.started) == len(found.trials) == SPACE.size


def test_the_fastest_that_passes_the_gate_becomes_a_preset(bench: Bench) -> None:
    found = bench.tune()
    assert (found.kept, found.why_not) == (found.best, None)
    assert bench.presets() == [found.preset] == ["none-tuned-cpu-gemma-3-270m"]
    preset = with_presets(CATALOG, bench.results).experiments["none-tuned-cpu-gemma-3-270m"]
    assert preset.options["x"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("judgement", ["fail", "undecided", "unknown"])
def test_what_does_not_pass_the_gate_becomes_none(judgement: Judgement, bench: Bench) -> None:
    found = bench.tune(judgement=judgement)
    assert found.best is not None and found.kept is found.preset is None
    assert found.why_not == f"the quality gate says {judgement}: a reason"
    assert bench.presets() == []


def test_where_the_best_fails_the_gate_the_next_that_passes_is_kept(bench: Bench) -> None:
    tuner = bench.tuner()
    best = tuner.run(gate("pass")).best
    assert best is not None
    tuner = bench.tuner()
    found = keep(tuner.run(gate("pass", **{best: "fail"})), tuner, bench.results)
    assert found.best == best and found.kept not in (None, best)
    assert found.why_not == "the quality gate says fail: a reason"


def test_random_weights_are_judged_by_no_gate_and_leave_no_preset(bench: Bench) -> None:
    tuner = bench.tuner(real_weights=False)
    found = keep(tuner.run(lambda names: pytest.fail("the gate was asked")), tuner, bench.results)
    assert found.best is not None and {judged.judgement for judged in found.judged} == {"unknown"}
    assert bench.presets() == []


def test_where_nothing_is_faster_the_untuned_row_stays_and_nothing_is_judged(bench: Bench) -> None:
    bench.jobs.speed = lambda settings: 1.0 + 0.001 * len(settings)
    found = bench.tune()
    assert (found.best, found.judged, found.kept) == ("none", (), None)
    assert bench.presets() == []


def test_settings_that_gain_only_together_are_both_kept(bench: Bench) -> None:
    bench.jobs.speed = lambda settings: 1.5 if settings.items() >= {"a": 1, "b": 1}.items() else 1.0
    found = bench.tune()
    assert settings_of(found, found.best) == {"a": 1, "b": 1}


def test_a_trial_that_fails_is_noted_with_its_failure_and_the_search_goes_on(bench: Bench) -> None:
    bench.jobs.speed = lambda settings: None if settings.get("b") == 2 else independent(settings)
    found = bench.tune()
    assert settings_of(found, found.best) == {"a": 1}
    [alone] = [trial for trial in found.trials if dict(trial.settings) == {"b": 2}]
    assert (alone.status, alone.failure) == ("failed", "cuda_oom: CUDA out of memory")


def test_an_untuned_row_that_fails_ends_it_with_nothing_else_tried(bench: Bench) -> None:
    bench.jobs.speed = lambda _: None
    found = bench.tune()
    assert [trial.status for trial in found.trials] == ["failed"]
    assert (found.best, found.path, bench.presets()) == (None, (), [])


def test_an_untuned_row_that_failed_is_tried_again_by_the_next_command(bench: Bench) -> None:
    bench.jobs.speed = lambda _: None
    bench.tune()
    bench.jobs.speed = independent
    assert bench.tune().best is not None


def test_the_same_command_again_runs_nothing_anew(bench: Bench) -> None:
    first = bench.tune()
    started = list(bench.jobs.started)
    again = bench.tune()
    assert bench.jobs.started == started
    assert replace(again, spent_s=first.spent_s) == first


def test_the_same_command_again_goes_on_within_what_is_left_of_the_budget(bench: Bench) -> None:
    first = bench.tune(minutes=6)
    spent = first.spent_s
    again = bench.tune(minutes=6)
    assert again.spent_s == spent and len(again.trials) == len(first.trials)
    more = bench.tune(minutes=12)
    assert len(more.trials) > len(first.trials)
    assert more.trials[: len(first.trials)] == first.trials


def test_a_trial_that_failed_is_not_tried_again(bench: Bench) -> None:
    bench.jobs.speed = lambda settings: None if "c" in settings else independent(settings)
    bench.tune()
    started = list(bench.jobs.started)
    bench.tune()
    assert bench.jobs.started == started


def test_an_interrupted_trial_is_the_next_commands_first(bench: Bench) -> None:
    tried: list[dict[str, Any]] = []

    def interrupted(settings: Mapping[str, Any]) -> float:
        tried.append(dict(settings))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return independent(settings)

    bench.jobs.speed = interrupted
    with pytest.raises(KeyboardInterrupt):
        bench.tune()
    bench.tune()
    assert tried[3] == tried[2]
    assert tried[:3] == [{}, {"a": 1}, {"b": 1}]


def test_fresh_runs_everything_again_under_names_that_no_earlier_trial_has(bench: Bench) -> None:
    first = bench.tune(minutes=3)
    again = bench.tune(minutes=3, rerun="fresh")
    old, new = ({trial.experiment for trial in tuning.trials} for tuning in (first, again))
    assert old & new == {"none"}
    assert again.spent_s == first.spent_s


def test_trials_that_a_change_of_code_outdated_run_again_under_their_names_in_the_time_they_had(bench: Bench) -> None:
    first = bench.tune(minutes=6)
    bench.jobs.code, bench.jobs.started = "changed", []
    again = bench.tune(minutes=6)
    assert bench.jobs.started[: len(first.trials)] == [trial.experiment for trial in first.trials]
    assert again.spent_s <= first.spent_s + bench.jobs.seconds


def test_a_trial_of_a_setting_or_a_value_that_is_no_longer_tried_is_dropped_and_its_name_not_given_again(
    bench: Bench,
) -> None:
    first = bench.tune(minutes=6)
    space = Space((replace(SPACE.settings[0], choices=(2,)), SPACE.settings[1], Setting("d", "x.d", (1,))))
    dropped = {trial.experiment for trial in first.trials if trial.settings.get("a") == 1 or "c" in trial.settings}
    bench.jobs.speed = lambda settings: 2.0 if "d" in settings else 1.0
    again = bench.tune(space=space)
    assert dropped and not dropped & {trial.experiment for trial in again.trials}
    assert len({trial.experiment for trial in again.trials}) == len(again.trials)
    assert settings_of(again, again.best)["d"] == 1


@pytest.mark.parametrize("minutes", [4, 7, 10])
def test_the_budget_holds_but_for_the_trial_under_way_and_the_way(minutes: int, bench: Bench) -> None:
    found = bench.tune(minutes)
    assert found.left
    searched = sum(trial.seconds for trial in found.trials if trial.why != "path")
    assert searched <= minutes * 60
    assert found.spent_s == sum(trial.seconds for trial in found.trials)
    assert found.spent_s <= (minutes + len(SPACE.settings)) * 60


def test_time_for_the_way_to_the_best_is_held_back(bench: Bench) -> None:
    bench.jobs.speed = lambda settings: 1.1 ** len(settings)
    found = bench.tune(minutes=12)
    assert len(found.path) == 1 + len(settings_of(found, found.best))
    assert found.spent_s <= 12 * 60


def test_half_of_the_budget_at_most_goes_to_choices_alone(bench: Bench) -> None:
    found = bench.tune(minutes=8)
    assert sum(trial.why == "alone" for trial in found.trials) <= 4
    assert any(trial.why == "search" for trial in found.trials)


def test_a_slow_first_trial_takes_nothing_from_the_share_of_choices_alone(bench: Bench) -> None:
    def compiling(settings: Mapping[str, Any]) -> float:
        bench.jobs.now_s += 0 if settings else 600  # what later trials find compiled
        return independent(settings)

    bench.jobs.speed = compiling
    assert sum(trial.why == "alone" for trial in bench.tune(minutes=30).trials) == len(SPACE.singles())


def test_a_budget_below_one_trial_runs_the_untuned_row_alone(bench: Bench) -> None:
    found = bench.tune(minutes=0.5)
    assert [trial.why for trial in found.trials] == ["untuned"]
    assert (found.best, found.left) == ("none", True)


@pytest.mark.parametrize("other", [{"of": "gguf-q4"}, {"docs": 4}, {"max_new_tokens": 8}])
def test_a_run_that_holds_another_tuning_is_refused(other: dict[str, Any], bench: Bench) -> None:
    bench.tune(minutes=2)
    changes = dict(other)
    if "of" not in other:
        request = Request("run", "offline", None, make_workload(**other), MODEL, "process")
        changes = {"request": request}
    with pytest.raises(UsageError, match=r"another tuning ran there \(none, gemma-3-270m on cpu.*take another name"):
        bench.tune(**changes)


def test_a_damaged_record_is_refused_with_the_mend_and_fresh_does_without_it(bench: Bench) -> None:
    bench.tune(minutes=2)
    (bench.results / "run" / TUNING_FILE).write_text("{")
    with pytest.raises(UsageError, match="move it away to tune from the start"):
        bench.tune(minutes=2)
    assert bench.tune(minutes=2, rerun="fresh").best is not None


def test_what_came_of_it_is_left_in_the_runs_folder(bench: Bench) -> None:
    found = bench.tune(minutes=6)
    assert read_tuning(bench.results / "run") == found


def test_a_tuning_without_a_name_is_a_run_of_its_own(data: Path) -> None:
    session = make_session(CPU, "gguf-q4", model=MODEL, launcher="process")
    plain, named, tuned = (
        replace(session, arguments=replace(session.arguments, data=data, tune=tune, run=run))
        for tune, run in ((None, None), ("gguf-q4", "mine"), ("gguf-q4", None))
    )
    dataset = find_dataset(plain)
    assert isinstance(dataset, Dataset)
    runs = [make_requests(one, dataset)[0].run for one in (plain, named, tuned)]
    assert runs == [runs[0], "mine", f"{runs[0]}-tune-gguf-q4"]
