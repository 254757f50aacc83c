"""From the untuned row to the best: in which order its settings are added, and which of them are worth keeping."""

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.tuning.record import Step, Trial
from pipeline.tuning.space import Changes

WORTH = 1.005
"""The factor below which a setting's step is taken for noise, and the setting is left out of what is kept: repeats of a
job differed by up to 0.5 % on an H200."""


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The fastest that came through, of equally fast ones that with the fewest changes."""
    done = [trial for trial in trials if trial.docs_per_s is not None]
    return max(done, key=lambda trial: (trial.docs_per_s, -len(trial.settings)), default=None)


def ordered(changes: Changes, trials: Sequence[Trial]) -> dict[str, Any]:
    """The changes, those first that gained the most alone; what was not tried alone comes last, in its own order."""
    alone = {
        name: trial.docs_per_s
        for trial in trials
        for name, value in trial.settings.items()
        if len(trial.settings) == 1 and trial.docs_per_s is not None and changes.get(name) == value
    }
    names = sorted(changes, key=lambda name: -(alone.get(name) or 0.0))
    return {name: changes[name] for name in names}


def prefixes(changes: Changes) -> list[dict[str, Any]]:
    """The changes' first one, first two and so on, all of them last."""
    names = list(changes)
    return [{name: changes[name] for name in names[: count + 1]} for count in range(len(names))]


def steps(untuned: Trial, changes: Changes, trials: Sequence[Trial]) -> tuple[Step, ...]:
    """The way from the untuned row over each prefix of the changes; it ends before the first that has no figure."""
    if untuned.docs_per_s is None:
        return ()
    found = [Step(None, None, untuned.experiment, untuned.docs_per_s, None)]
    for prefix in prefixes(changes):
        trial = next((trial for trial in trials if dict(trial.settings) == prefix), None)
        if trial is None or trial.docs_per_s is None:
            break
        name = list(prefix)[-1]
        gain = trial.docs_per_s / found[-1].docs_per_s
        found.append(Step(name, prefix[name], trial.experiment, trial.docs_per_s, gain))
    return tuple(found)


def settled(trials: Sequence[Trial], kept: Changes) -> Trial | None:
    """What the search comes to: the fastest, or these changes alone where they are slower by no more than noise.

    One that gains no more than noise over the untuned row gives way to that. None where nothing came through.
    """
    fastest = best_of(trials)
    if fastest is None or fastest.docs_per_s is None:
        return None
    for changes in ({}, kept):
        fewer = next((trial for trial in trials if dict(trial.settings) == dict(changes)), None)
        left_out = max(1, len(fastest.settings) - len(changes)) if changes == kept else 1
        if fewer and fewer.docs_per_s and fewer.docs_per_s * WORTH**left_out >= fastest.docs_per_s:
            return fewer
    return fastest


def worthwhile(way: Sequence[Step], changes: Changes) -> dict[str, Any]:
    """The changes without those whose step on the way is no more than noise. Those that the way misses stay."""
    idle = {step.setting for step in way if step.gain is not None and step.gain < WORTH}
    return {name: value for name, value in changes.items() if name not in idle}
