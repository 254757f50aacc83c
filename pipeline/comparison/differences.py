"""How rows differ from their baseline, document by document."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.comparison.estimates import Difference
from pipeline.comparison.statistics import (
    LEAST_DIFFERING,
    LEVEL,
    bootstrapped,
    detectable_shift,
    sign_flip_p_values,
)

LEAST_TO_TEST = 6
"""Documents for a p-value: the signs of 5 differences give none below 0.0625."""


@dataclass(frozen=True)
class _Pair:
    """A score's values of the documents in both rows, in the same order. known: which of the baseline's those are."""

    known: np.ndarray
    mine: np.ndarray
    base: np.ndarray


def differences(
    rows: Mapping[str, pd.DataFrame], baseline: str, seed: int = 0
) -> Mapping[str, Mapping[str, Difference]]:
    """How each experiment but the baseline differs from it: by experiment, then by score.

    rows: by experiment, a line a document, under a label that stands once, and a column a score (see Difference), NaN
    where it is not known. Each pair is taken over the documents for which both have a finite value; a score without
    such a document is left out. Intervals are a paired bootstrap's, each for itself; p-values those of a sign-flip
    permutation, corrected for each score over the rows (Holm); for both see statistics.py on many documents.
    `detectable` counts with that correction, for a row that is the only one to differ.
    """
    base = rows.get(baseline, pd.DataFrame())
    pairs = {name: _pairs(scores, base) for name, scores in rows.items() if name != baseline}
    tests = Counter(score for row in pairs.values() for score, pair in row.items() if pair.mine.size >= LEAST_TO_TEST)
    found = {name: _of_row(row, tests, seed) for name, row in pairs.items()}
    for score in base:
        compared = [name for name, row in found.items() if score in row]
        p_values = holm([found[name][score].p_value for name in compared])
        for name, p_adjusted in zip(compared, p_values, strict=True):
            found[name][score] = replace(found[name][score], p_adjusted=p_adjusted)
    return found


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for being one of several, in the same order (Holm 1979); None stays, and is not counted."""
    order = sorted((p_value, index) for index, p_value in enumerate(p_values) if p_value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p_value, index) in enumerate(order):
        largest = max(largest, min(1.0, p_value * (len(order) - rank)))
        corrected[index] = largest
    return corrected


def _pairs(mine: pd.DataFrame, base: pd.DataFrame) -> dict[str, _Pair]:
    """By score, in the baseline's order of scores and documents."""
    if not mine.index.equals(base.index):
        mine = mine.reindex(base.index)
    pairs = {}
    for score in base.columns.intersection(mine.columns, sort=False):
        mine_values, base_values = mine[score].to_numpy(float), base[score].to_numpy(float)
        known = np.isfinite(mine_values) & np.isfinite(base_values)
        if known.any():
            pairs[score] = _Pair(known, mine_values[known], base_values[known])
    return pairs


def _of_row(pairs: Mapping[str, _Pair], tests: Mapping[str, int], seed: int) -> dict[str, Difference]:
    """A row's differences, not corrected yet. Scores of the same documents are resampled together."""
    together: dict[bytes, list[str]] = {}
    for score, pair in pairs.items():
        together.setdefault(pair.known.tobytes(), []).append(score)
    found = {}
    for scores in together.values():
        apart = np.stack([pairs[score].mine - pairs[score].base for score in scores])
        estimates = bootstrapped(apart, "paired bootstrap", seed)
        tested = apart.shape[1] >= LEAST_TO_TEST
        p_values: Sequence[float | None] = sign_flip_p_values(apart, seed) if tested else [None] * len(scores)
        for score, row, estimate, p_value in zip(scores, apart, estimates, p_values, strict=True):
            base_value = float(pairs[score].base.mean())
            found[score] = Difference(
                score=score,
                value=float(pairs[score].mine.mean()),
                baseline_value=base_value,
                difference=estimate,
                relative=estimate.value / base_value if base_value else None,
                p_value=p_value,
                p_adjusted=None,
                detectable=_detectable(row, max(1, tests[score])),
            )
    return found


def _detectable(apart: np.ndarray, tests: int) -> float | None:
    """Of one of so many tests; None where too few documents differ for their signs to make up so small a p-value.

    With as many as are asked for here, four of five effects are found by random signs as by the t-test that the size
    is computed for (normal differences; one document more for each doubling of the tests).
    """
    if np.count_nonzero(apart) < LEAST_DIFFERING + math.ceil(math.log2(tests)):
        return None
    return detectable_shift(float(apart.std(ddof=1)), apart.size, 1 - (1 - LEVEL) / tests)
