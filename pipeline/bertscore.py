"""BERTScore, a figure that finished runs get on request: with which model, and its files beside documents.jsonl.

Its environment and weights are prepared, and its image's variant is chosen, as an experiment's are: in a catalogue of
its own (Scorer.catalog), which nothing else reads, so that no list, plan or --all holds it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline import codec
from pipeline.catalog import CONFIG, Catalog
from pipeline.entries import Experiment, Model, WeightsSource
from pipeline.files import read_json, write_atomically, write_json
from pipeline.names import ImageName, Name, RelativePath
from pipeline.yaml_files import read_yaml

SCORES_FILE = "bertscore.jsonl"
SUMMARY_FILE = "bertscore.json"
FORMAT = "hf"
"""Of its model's weights."""


@dataclass(frozen=True)
class Scorer:
    """bertscore.yaml. max_tokens: what the model reads of a text. layer: whose outputs are compared, from 1.

    baseline: of bert-score's own tables, the one for that model, which its rescaled figures rest on; None for a model
    without one.
    """

    image: ImageName
    model: Name
    description: str
    licence: str
    parameters: int
    max_tokens: int
    source: WeightsSource
    layer: int
    baseline: RelativePath | None = None

    @property
    def experiment(self) -> Experiment:
        """What stands for it where experiments are prepared."""
        return Experiment(
            name=self.image, optimization="none", description=self.description, backend=self.image, image=self.image,
            weights=FORMAT,
        )  # fmt: skip

    def catalog(self, catalog: Catalog) -> Catalog:
        """The catalogue with its experiment and its model instead of the others. The model has no prompt to name."""
        model = Model(
            name=self.model,
            description=self.description,
            licence=self.licence,
            context_length=self.max_tokens,
            parameters=self.parameters,
            prompt="",
            eos_ids=(),
            weights={FORMAT: self.source},
        )
        return replace(catalog, experiments={self.experiment.name: self.experiment}, models={self.model: model})


def read_scorer(config: Path = CONFIG) -> Scorer:
    """The one that is configured."""
    path = config / "bertscore.yaml"
    return codec.decode(Scorer, read_yaml(path), str(path))


@dataclass(frozen=True)
class BertScores:
    """One line of bertscore.jsonl: of an output against its reference, not rescaled; 0 for an output without words."""

    id: str
    bertscore_precision: float
    bertscore_recall: float
    bertscore_f1: float


@dataclass(frozen=True)
class BertScoreSettings:
    """With what it was computed. baseline: precision, recall and F1 of unrelated texts, by bert-score's table; None
    for a model without one. rescaled: whether the scores have been by that; what is may be negative.
    """

    model: str
    model_revision: str
    weights_sha256: str
    layer: int
    max_tokens: int
    device: str
    packages: Mapping[str, str] = field(default_factory=dict)
    idf: bool = False
    rescaled: bool = False
    baseline: Mapping[str, float] | None = None


@dataclass(frozen=True)
class BertScoreSummary:
    """bertscore.json: plain means over the documents, f1_rescaled_mean as (mean - baseline) / (1 - baseline).

    documents_sha256: of the documents.jsonl that was scored; with another beside it the scores are outdated.
    """

    settings: BertScoreSettings
    documents_sha256: str
    documents: int
    precision_mean: float
    recall_mean: float
    f1_mean: float
    f1_rescaled_mean: float | None = None


def write_scores(folder: Path, scores: Sequence[BertScores], summary: BertScoreSummary) -> None:
    """Both files of a job's folder, the summary last, an earlier one away first: where it stands, its scores do."""
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    lines = (json.dumps(codec.encode(one), ensure_ascii=False, allow_nan=False) + "\n" for one in scores)
    write_atomically(folder / SCORES_FILE, "".join(lines))
    write_json(folder / SUMMARY_FILE, codec.encode(summary))


def read_summary(folder: Path) -> BertScoreSummary | None:
    """What stands in a job's folder; None where it was not scored. A damaged file is a UsageError."""
    path = folder / SUMMARY_FILE
    return codec.decode(BertScoreSummary, read_json(path), str(path)) if path.exists() else None
