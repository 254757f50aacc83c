"""Which changes to try next: Optuna's tree-structured Parzen estimator over the settings' choices.

Settings are tried alone first, which is what tells a user what each is worth; from then on the estimator combines them.
"""

import json
import random
import warnings
from collections.abc import Mapping
from typing import Any

import optuna

from pipeline.tuning.space import Changes, Space

UNTUNED = 0
"""The place of the untuned value among a setting's choices."""
MOST_REPETITIONS = 20
"""Suggestions in a row of what is known already, after which the estimator has nothing new to say."""
MOST_DRAWS = 10_000
"""At random after that, for what is left of a space that is almost searched."""


class Search:
    """Suggests changes that were not tried yet, best guess first, and is told what each came to.

    seed: of the estimator.
    """

    def __init__(self, space: Space, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # what was tried alone is its start, so it draws none at random
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=1)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._space = space
        self._distributions = {
            setting.name: optuna.distributions.CategoricalDistribution(range(len(setting.choices) + 1))
            for setting in space.settings
        }
        self._known: set[str] = set()
        self._random = random.Random(seed)

    def learn(self, changes: Changes, docs_per_s: float | None) -> None:
        """What a trial came to. None: it failed, which counts as no document in any time."""
        value = docs_per_s or 0.0
        self._known.add(_key(changes))
        self._study.add_trial(
            optuna.trial.create_trial(
                params=self._places(changes), distributions=dict(self._distributions), values=[value]
            )
        )

    def suggest(self, *, alone: bool) -> tuple[dict[str, Any], bool] | None:
        """What to try next, and whether it is a choice alone; None where nothing is left.

        alone: whether there is time for those before the estimator is asked.
        """
        for single in self._space.singles() if alone else ():
            if _key(single) not in self._known:
                return single, True
        for _ in range(MOST_REPETITIONS):
            trial = self._study.ask(dict(self._distributions))
            # a question alone, which counts for nothing: `learn` tells what came of it
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            changes = self._changes(trial.params)
            if _key(changes) not in self._known:
                return changes, False
        for _ in range(MOST_DRAWS if len(self._known) < self._space.size else 0):
            changes = self._changes(
                {setting.name: self._random.randint(0, len(setting.choices)) for setting in self._space.settings}
            )
            if _key(changes) not in self._known:
                return changes, False
        return None

    def _places(self, changes: Changes) -> dict[str, int]:
        return {
            setting.name: setting.choices.index(changes[setting.name]) + 1 if setting.name in changes else UNTUNED
            for setting in self._space.settings
        }

    def _changes(self, places: Mapping[str, Any]) -> dict[str, Any]:
        return {
            setting.name: setting.choices[places[setting.name] - 1]
            for setting in self._space.settings
            if places[setting.name] != UNTUNED
        }


def _key(changes: Changes) -> str:
    return json.dumps(changes, sort_keys=True)
