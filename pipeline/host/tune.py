"""--tune: runs an experiment with one set of changes after another, each a job like any other, within a budget."""

import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.arguments import Arguments
from pipeline.host.execute import Execution
from pipeline.host.prepare import Prepared
from pipeline.host.runs import RunFolder
from pipeline.host.watcher import Watcher
from pipeline.host.work import Work
from pipeline.plan import Request, Selected, Skipped
from pipeline.results import Result
from pipeline.tuning.path import WORTH, best_of, ordered, prefixes, settled, steps, worthwhile
from pipeline.tuning.preset import add_preset, as_preset, preset_name
from pipeline.tuning.record import Judged, Trial, Tuning, Why, read_tuning, write_tuning
from pipeline.tuning.space import Changes, Space, changed, in_words, load_settings, space_for

SHARE_ALONE = 0.5
"""Of the budget, at most so much goes to choices that are tried alone."""
SECONDS_PER_MINUTE = 60

Judge = Callable[[Sequence[str]], Mapping[str, Judged]]
"""What the quality gate says of rows, by their names, against the untuned one."""


@dataclass
class Tuner:
    """Tunes one experiment over a run's workload.

    item: the experiment as it was planned. budget_s: for trials, from the first one's start. clock: seconds that only
    grow; replaced in tests.
    """

    item: Selected
    space: Space
    execution: Execution
    request: Request
    prepared: Prepared
    folder: RunFolder
    budget_s: float
    watcher: Watcher
    real_weights: bool = True
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._spent_before = 0.0
        self._started = self.clock()

    def run(self, judge: Judge) -> Tuning:
        """Search, walk the way to the best, and judge what was faster than the untuned row.

        judge: not asked where weights are random. The same command again goes on with what is left of the budget;
        trials that have a result are kept, failed ones too.
        """
        tuning = self._begin()
        tuning = self._search(tuning)
        tuning = self._walk(tuning)
        tuning = replace(tuning, judged=tuple(self._judged(tuning, judge)))
        return self.write(tuning)

    def _begin(self) -> Tuning:
        earlier = None if self.execution.policy.rerun == "fresh" else read_tuning(self.folder.path)
        name = self.item.experiment.name
        fresh = Tuning(
            of=name,
            model=self.request.model.name if self.item.model else None,
            gpu=self.execution.hardware.gpu.name,
            scenario=self.request.scenario,
            docs=self.request.workload.docs,
            budget_s=self.budget_s,
            spent_s=0.0,
            trials=(),
            workload=self.request.workload,
        )
        if earlier is None:
            return self._tried(fresh, {}, "untuned")
        same = ("of", "model", "gpu", "scenario", "docs", "workload")
        if any(getattr(earlier, field) not in (None, getattr(fresh, field)) for field in same):
            raise UsageError(
                f"{self.folder.path}: another tuning ran there ({earlier.of}, {earlier.model} on {earlier.gpu}, "
                f"{earlier.docs} documents, {earlier.scenario}); take another name with --run"
            )
        return self._go_on(fresh, earlier)

    def _go_on(self, tuning: Tuning, earlier: Tuning) -> Tuning:
        """The earlier trials that still count; what they took has been spent of the budget, and what others took not.

        A trial without a result that is kept, since code or packages have changed, runs again while there is time; so
        does an untuned row that failed, since nothing can be tuned before what broke it is mended.
        """
        allowed = [trial for trial in earlier.trials if self.space.has(trial.settings)]
        kept: dict[str, Trial] = {}
        for trial in allowed:
            if trial.status in ("failed", "timed_out") and trial.settings:
                kept[trial.experiment] = trial
            elif result := self._kept(trial.settings, trial.experiment):
                kept[trial.experiment] = self._trial(result, trial.settings, trial.why, trial.experiment, trial.seconds)
        lapsed = sum(trial.seconds for trial in earlier.trials if trial.experiment not in kept)
        self._spent_before = max(0.0, earlier.spent_s - lapsed)
        tuning = replace(tuning, trials=tuple(kept.values()))
        if tuning.untuned is None:
            tuning = self._tried(tuning, {}, "untuned")
        for trial in allowed:
            if trial.settings and trial.experiment not in kept and self._left_s() > self._usual_s(tuning):
                tuning = self._tried(tuning, trial.settings, trial.why, trial.experiment)
        return tuning

    def _kept(self, changes: Changes, name: str) -> Result | None:
        return self.execution.kept(self._changed(changes, name), self.request, self.prepared)

    def _search(self, tuning: Tuning) -> Tuning:
        # the estimator takes a third of a second to import, and no other command needs it
        from pipeline.tuning.search import Search

        untuned = tuning.untuned
        if untuned is None or untuned.docs_per_s is None:
            return replace(tuning, left=False)  # what does not run as it is gives nothing to compare with
        search = Search(self.space, seed=self.request.workload.seed)
        for trial in tuning.trials:
            search.learn(trial.settings, trial.docs_per_s)
        while self._left_s() > self._reserve_s(tuning):
            suggested = search.suggest(alone=self._has_time_alone(tuning))
            if suggested is None:
                return self.write(replace(tuning, left=False))
            changes, single = suggested
            tuning = self._tried(tuning, changes, "alone" if single else "search")
            search.learn(changes, tuning.trials[-1].docs_per_s)
        return tuning

    def _walk(self, tuning: Tuning) -> Tuning:
        """The best's settings one after another, and then the best without those that gained nothing."""
        best, untuned = best_of(tuning.trials), tuning.untuned
        if best is None or untuned is None or untuned.docs_per_s is None:
            return self.write(tuning)
        changes = ordered(best.settings, tuning.trials)
        for prefix in prefixes(changes):
            tuning = self._on_the_way(tuning, prefix)
        kept = worthwhile(steps(untuned, changes, tuning.trials), changes)
        for prefix in prefixes(kept):
            tuning = self._on_the_way(tuning, prefix)
        best = settled(tuning.trials, kept) or best
        # each of the settings that stayed, in the order in which they were walked
        stayed = {name: changes[name] for name in changes if name in best.settings}
        way = steps(untuned, stayed, tuning.trials)
        return self.write(replace(tuning, path=way, best=best.experiment))

    def _on_the_way(self, tuning: Tuning, changes: Changes) -> Tuning:
        return tuning if tuning.known(changes) else self._tried(tuning, changes, "path")

    def _judged(self, tuning: Tuning, judge: Judge) -> list[Judged]:
        """What was faster than the untuned row by more than noise, the best first, then by speed."""
        untuned = tuning.untuned
        if untuned is None or untuned.docs_per_s is None or tuning.best == untuned.experiment:
            return []
        limit = untuned.docs_per_s * WORTH
        faster = [trial for trial in tuning.trials if trial.settings and (trial.docs_per_s or 0.0) >= limit]
        faster.sort(key=lambda trial: (trial.experiment != tuning.best, -(trial.docs_per_s or 0.0)))
        names = [trial.experiment for trial in faster]
        if not self.real_weights:
            return [
                Judged(name, "unknown", "random weights: what they write says nothing of quality") for name in names
            ]
        found = judge(names)
        return [found[name] for name in names if name in found]

    def _tried(self, tuning: Tuning, changes: Changes, why: Why, name: str | None = None) -> Tuning:
        name = name or (self._next_name(tuning) if changes else tuning.of)
        self.watcher.note(
            f"{name}: {in_words(changes) or 'untuned'}; {self._left_s() / SECONDS_PER_MINUTE:.0f} min left"
        )
        start = self.clock()
        item = self._changed(changes, name)
        results = self.execution.run_all([(item, self.request)], self.prepared)
        trial = self._trial(results[0] if results else None, changes, why, name, self.clock() - start)
        return self.write(replace(tuning, trials=(*tuning.trials, trial)))

    def _next_name(self, tuning: Tuning) -> str:
        """One that no trial of the run's folder has, those of an earlier tuning among them."""
        pattern = re.compile(rf"{re.escape(tuning.of)}-t(\d+)(\..*)?")
        taken = [trial.experiment for trial in tuning.trials] + [path.name for path in self.folder.path.iterdir()]
        numbers = [int(found.group(1)) for found in map(pattern.fullmatch, taken) if found]
        return f"{tuning.of}-t{max(numbers, default=0) + 1}"

    def _changed(self, changes: Changes, name: str) -> Selected:
        original = self.item.experiment
        return replace(self.item, experiment=changed(original, self.space, changes, name)) if changes else self.item

    def _trial(self, result: Result | None, changes: Changes, why: Why, name: str, seconds: float) -> Trial:
        failure = result.failure if result else None
        return Trial(
            experiment=name,
            settings=dict(changes),
            why=why,
            status=result.status if result else "skipped",
            docs_per_s=result.metrics.docs_per_s if result and result.status == "ok" and result.metrics else None,
            seconds=seconds,
            failure=f"{failure.class_}: {failure.message}" if failure else None,
        )

    def write(self, tuning: Tuning) -> Tuning:
        """Leave it in the run's folder, with the time that it has taken so far."""
        told = replace(tuning, spent_s=self._spent_s())
        write_tuning(self.folder.path, told)
        return told

    def _spent_s(self) -> float:
        return self._spent_before + self.clock() - self._started

    def _left_s(self) -> float:
        return max(0.0, self.budget_s - self._spent_s())

    def _usual_s(self, tuning: Tuning) -> float:
        """What a trial takes; the first ones compile what later ones find compiled."""
        return statistics.median(trial.seconds for trial in tuning.trials)

    def _has_time_alone(self, tuning: Tuning) -> bool:
        """Whether one more choice alone stays within their share of the budget."""
        spent = sum(trial.seconds for trial in tuning.trials if trial.why == "alone")
        return spent + self._usual_s(tuning) <= SHARE_ALONE * self.budget_s

    def _reserve_s(self, tuning: Tuning) -> float:
        """What walking the way to the best so far will take, and the next trial."""
        best = best_of(tuning.trials)
        steps_to_go = len(prefixes(best.settings)) - 1 if best else 0
        return self._usual_s(tuning) * (1 + max(0, steps_to_go))


def tuner(work: Work, arguments: Arguments) -> Tuner:
    """The tuner of the experiment that the command names. Raises BenchmarkError where it can't run here."""
    [(item, request)] = work.session.jobs(work.requests)
    if isinstance(item, Skipped):
        raise BenchmarkError(f"--tune {item.experiment.name}: {item.reason}")
    obstacle = work.prepared.obstacle(item)
    if obstacle:
        raise BenchmarkError(f"--tune {item.experiment.name}: {obstacle.message}; see {obstacle.log}")
    # before hours are spent on one that can't be called so
    preset_name(item.experiment.name, work.execution.hardware.gpu.name, item.model.name if item.model else None)
    weights = work.prepared.weights_of(item)
    real_weights = weights is not None and weights.kind != "synthetic"
    space = space_for(
        item.experiment,
        load_settings().get(item.experiment.backend, ()),
        work.execution.hardware.gpu.device,
        request.scenario,
        real_weights=real_weights,
    )
    if not space.settings:
        raise UsageError(f"--tune {item.experiment.name}: tuning.yaml has no setting that does anything for it here")
    return Tuner(
        item=item,
        space=space,
        execution=work.execution,
        request=request,
        prepared=work.prepared,
        folder=work.folder,
        budget_s=float(arguments.budget * SECONDS_PER_MINUTE),
        watcher=work.execution.watcher,
        real_weights=real_weights,
    )


def keep(tuning: Tuning, tuner: Tuner, results: Path) -> Tuning:
    """With what it came to: the fastest trial that passed the gate is now a preset of the results folder."""
    passed = next((judged.experiment for judged in _by_speed(tuning) if judged.judgement == "pass"), None)
    of_best = next((judged for judged in tuning.judged if judged.experiment == tuning.best), None)
    why_not = f"the quality gate says {of_best.judgement}: {of_best.reason}" if of_best else None
    if passed is None:
        return tuner.write(replace(tuning, why_not=why_not))
    trial = next(trial for trial in tuning.trials if trial.experiment == passed)
    original = tuner.item.experiment
    description = (
        f"{original.name} with {in_words(trial.settings)}: tuned in run {tuner.folder.name} over {tuning.docs} "
        f"documents ({tuning.scenario}), {trial.docs_per_s:.2f} docs/s"
    )
    made = changed(original, tuner.space, trial.settings, trial.experiment)
    preset = as_preset(made, original, tuning.gpu, tuning.model, description)
    add_preset(results, preset)
    why_not = None if passed == tuning.best else why_not
    return tuner.write(replace(tuning, kept=passed, preset=preset.name, why_not=why_not))


def _by_speed(tuning: Tuning) -> list[Judged]:
    speeds = {trial.experiment: trial.docs_per_s or 0.0 for trial in tuning.trials}
    return sorted(tuning.judged, key=lambda judged: (judged.experiment != tuning.best, -speeds[judged.experiment]))
