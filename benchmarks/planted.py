"""Whether the statistics call a difference where there is none, and find the effects that they say they find.

Run from the repository's root: `.venv/bin/python -m benchmarks.planted`. It plants no difference, or one of the size
that is stated as detectable, in real samples (tests/comparison/samples: ROUGE of several experiments on the same
articles, and docs/s of many launches of one), counts how often the comparison calls it, and writes
benchmarks/results/planted.json. `--record RUN` first takes the scores of the jobs in a run's folder as the sample.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.comparison.differences import differences
from pipeline.comparison.estimates import ROUGE
from pipeline.comparison.gate import MARGIN, gate
from pipeline.comparison.statistics import (
    LEAST_DIFFERING,
    LEVEL,
    bootstrapped,
    detectable_ratio,
    detectable_shift,
    log_ratios,
    speed_ratio,
)
from pipeline.files import read_json, write_json
from pipeline.results import DOCUMENTS_FILE, RESULT_FILE, now_utc, read_documents, read_result

REPOSITORY = Path(__file__).parent.parent
SAMPLES = REPOSITORY / "tests" / "comparison" / "samples"
ROUGE_SAMPLE = SAMPLES / "rouge.json"
LAUNCHES_SAMPLE = SAMPLES / "launches.json"
SCORES = (*ROUGE, "output_tokens")
COMPARISONS = 2000
DOCUMENTS = (20, 50, 100)
LAUNCHES = (5, 10, 20)
DIFFERING = ("none", "vllm-awq")
"""Experiments whose outputs differ for most documents."""

ALIKE = ("none", "gguf-q4")
"""Experiments whose outputs are the same for most documents."""

ROWS = 7
"""Of a table in which at most one row differs from the baseline."""


def scores(score: str = "rouge1_f1", experiments: Sequence[str] = DIFFERING) -> np.ndarray:
    """The recorded scores, of shape (documents, experiments)."""
    recorded = read_json(ROUGE_SAMPLE)["scores"]
    return np.array(
        [[recorded[name][document][score] for name in experiments] for document in recorded[experiments[0]]]
    )


def speeds() -> np.ndarray:
    """The recorded docs/s of launches of one experiment."""
    return np.array(read_json(LAUNCHES_SAMPLE)["docs_per_s"])


def same_quality(recorded: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a row and of its baseline on n documents, which differ by chance alone: of each document, drawn with
    replacement, two experiments' outputs, and which of them the row has is decided by lot."""
    documents = recorded[rng.integers(0, len(recorded), n)]
    mine, base = rng.permuted(documents, axis=1)[:, :2].T
    return mine, base


def same_speed(recorded: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Docs/s of n launches of a row and of n of its baseline, which differ by chance alone: all of one experiment."""
    drawn = rng.permutation(recorded)[: 2 * n]
    return drawn[:n], drawn[n:]


def quality_spread(recorded: np.ndarray) -> float:
    """The standard deviation of the differences that same_quality draws."""
    pairs = [recorded[:, a] - recorded[:, b] for a in range(recorded.shape[1]) for b in range(a)]
    return float(np.sqrt(np.mean(np.square(pairs))))


def speed_ratios(recorded: np.ndarray) -> list[float]:
    """Logarithms of the ratio of every launch over every other."""
    mine, base = zip(*itertools.permutations(recorded, 2), strict=True)
    return log_ratios(dict(enumerate(mine)), dict(enumerate(base)))


def main() -> int:
    """Print each count and write them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=COMPARISONS)
    parser.add_argument("--record", type=Path, metavar="RUN", help="the folder of a run of several experiments")
    parser.add_argument("--to", type=Path, default=REPOSITORY / "benchmarks" / "results" / "planted.json")
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record)
    counts = []
    for line in campaign(arguments.comparisons):
        print(
            " ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{value}" for name, value in line.items())
        )
        counts.append(line)
    write_json(arguments.to, {"recorded_at": now_utc(), "comparisons": arguments.comparisons, "counts": counts})
    return 0


def record(run: Path) -> None:
    """Write the scores of a run's jobs, by experiment and document, without any text."""
    results = sorted(run.glob(f"*/{RESULT_FILE}"))
    jobs = {read_result(path).job.experiment: read_documents(path.parent / DOCUMENTS_FILE) for path in results}
    workload = read_result(results[0]).job.workload
    write_json(
        ROUGE_SAMPLE,
        {
            "model": read_result(results[0]).job.model,
            "dataset": workload.dataset,
            "max_new_tokens": workload.max_new_tokens,
            "scores": {
                name: {document.id: {score: getattr(document, score) for score in SCORES} for document in documents}
                for name, documents in jobs.items()
            },
        },
    )


def campaign(comparisons: int) -> Iterator[dict[str, Any]]:
    """Each count as it is known."""
    for n in DOCUMENTS:
        yield from quality(n, comparisons)
        yield coverage(n, comparisons)
        yield coverage(n, comparisons, ALIKE)
    for n in DOCUMENTS[1:]:
        yield from quality(n, comparisons, ALIKE)
        yield from tables(n, comparisons // 5)
        yield margin(n, comparisons)
    for n in LAUNCHES:
        yield from speed(n, comparisons)


def quality(n: int, comparisons: int, experiments: Sequence[str] = DIFFERING) -> Iterator[dict[str, Any]]:
    """ROUGE-1 of two rows on n documents, of equal quality, and with the stated loss.

    The loss shifts all documents alike, which is what the stated size is for; and then the same mean loss those alone
    whose outputs differ anyway, as a change that leaves the other outputs as they are does.
    """
    recorded, rng = scores(experiments=experiments), np.random.default_rng(n)
    loss = detectable_shift(quality_spread(recorded), n)
    for planted, carriers in ((0.0, "none"), (loss, "all documents"), (loss, "documents that differ")):
        called = 0
        for seed in range(comparisons):
            mine, base = same_quality(recorded, n, rng)
            carry = mine != base if carriers == "documents that differ" else np.ones(n, dtype=bool)
            # where none differs nothing can be carried, and nothing is found
            lost = planted * n / max(1, carry.sum()) * carry
            found = compare({"row": mine - lost}, base, seed)["row"]["rouge1_f1"]
            called += found.p_value < 0.05 and (not planted or found.difference.value < 0)
        yield {
            "what": f"ROUGE-1, {' and '.join(experiments)}",
            "documents": n,
            "planted_loss": planted,
            "carried_by": carriers,
            "called": called / comparisons,
        }


def tables(n: int, comparisons: int) -> Iterator[dict[str, Any]]:
    """Tables of several rows with p-values corrected over them: how often any row is called that does not differ, and
    how often the one that does."""
    recorded, rng = scores(), np.random.default_rng(n)
    loss = detectable_shift(quality_spread(recorded), n, 1 - (1 - LEVEL) / ROWS)
    for planted in (0.0, loss):
        called = 0
        for seed in range(comparisons):
            drawn = [same_quality(recorded, n, rng) for _ in range(ROWS)]
            # rows differ from one baseline as real ones do, by what two outputs for a document differ
            rows = {f"row {index}": drawn[0][1] + mine - base for index, (mine, base) in enumerate(drawn)}
            rows["row 0"] = rows["row 0"] - planted
            found = [row["rouge1_f1"].p_adjusted < 0.05 for row in compare(rows, drawn[0][1], seed).values()]
            called += found[0] if planted else any(found)
        yield {"what": f"one of {ROWS} rows", "documents": n, "planted_loss": planted, "called": called / comparisons}


def coverage(n: int, comparisons: int, experiments: Sequence[str] = DIFFERING) -> dict[str, Any]:
    """How often a 95% interval of the mean difference between two experiments has the recorded one in it; by method.

    Where no document of the sample differs an interval has no width, and misses: among those of which few differ.
    """
    recorded, rng = scores(experiments=experiments), np.random.default_rng(n)
    apart = recorded[:, 0] - recorded[:, 1]
    drawn = apart[rng.integers(0, len(apart), (comparisons, n))]
    ours = [estimate.interval for estimate in bootstrapped(drawn, "paired bootstrap", 0)]
    covers = np.array([interval.low <= apart.mean() <= interval.high for interval in ours if interval])
    commonest = np.array([max(np.unique(row, return_counts=True)[1]) for row in drawn])
    found: dict[str, Any] = {"what": f"interval covers, {' and '.join(experiments)}", "documents": n}
    found["none differ"] = float(np.mean(commonest == n))
    for name, these in (("many", n - commonest >= LEAST_DIFFERING), ("few", n - commonest < LEAST_DIFFERING)):
        if these.sum() >= comparisons / 20:
            found[f"{name} differ"] = float(np.mean(these))
            found[f"{name}: ours"] = float(np.mean(covers[these]))
            found[f"{name}: percentile"] = covered(drawn[these], apart.mean(), "percentile")
            found[f"{name}: BCa"] = covered(drawn[these], apart.mean(), "BCa")
    return found


def covered(rows: np.ndarray, mean: float, method: str) -> float:
    """The share of rows whose 95% interval by scipy's bootstrap has the mean in it; one without a width has not."""
    varied = rows[np.ptp(rows, axis=1) > 0]
    low, high = stats.bootstrap(
        (varied,), np.mean, axis=1, n_resamples=999, batch=50, method=method, rng=np.random.default_rng(0)
    ).confidence_interval
    return float(np.sum((low <= mean) & (mean <= high)) / len(rows))


def margin(n: int, comparisons: int) -> dict[str, Any]:
    """How often the gate passes a row that loses exactly the margin of every score."""
    recorded = {score: scores(score) for score in ROUGE}
    rng = np.random.default_rng(n)
    verdicts = {"pass": 0, "fail": 0, "undecided": 0}
    for seed in range(comparisons):
        state = int(rng.integers(2**32))
        drawn = {score: same_quality(of, n, np.random.default_rng(state)) for score, of in recorded.items()}
        rows = {
            "row": pd.DataFrame({score: mine * (1 - MARGIN) for score, (mine, _) in drawn.items()}),
            "base": pd.DataFrame({score: base for score, (_, base) in drawn.items()}),
        }
        verdicts[gate(differences(rows, "base", seed)["row"]).verdict] += 1
    shares = {verdict: count / comparisons for verdict, count in verdicts.items()}
    return {"what": "gate at the margin", "documents": n, **shares}


def speed(n: int, comparisons: int) -> Iterator[dict[str, Any]]:
    """Docs/s of two rows over n launches, of equal speed, and with the stated slowdown."""
    recorded, rng = speeds(), np.random.default_rng(n)
    slower = detectable_ratio(speed_ratios(recorded), n)
    for planted in (1.0, slower):
        called = 0
        for _ in range(comparisons):
            mine, base = same_speed(recorded, n, rng)
            found = speed_ratio(dict(enumerate(mine * planted)), dict(enumerate(base)))
            low, high = found.interval.low, found.interval.high
            called += high < 1 or (low > 1 and planted == 1)
        yield {"what": "docs/s", "launches": n, "planted_ratio": planted, "called": called / comparisons}


def compare(rows: dict[str, np.ndarray], base: np.ndarray, seed: int) -> Any:
    """differences() of ROUGE-1 alone."""
    return differences(
        {name: pd.DataFrame({"rouge1_f1": values}) for name, values in {"base": base, **rows}.items()},
        "base",
        seed,
    )


if __name__ == "__main__":
    sys.exit(main())
