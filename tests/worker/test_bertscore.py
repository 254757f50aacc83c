"""BERTScore of finished runs: which jobs, what is written and left alone; and bert-score's own values where it is.

Its environment takes 1.3 GB: the last test runs where `orchestrator.py --bertscore` has made it, and skips elsewhere.
"""

import json
import math
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import documents as corpus
from pipeline.bertscore import SCORES_FILE, BertScores, BertScoreSettings, read_scorer, read_summary, write_scores
from pipeline.catalog import load_catalog
from pipeline.entries import Image
from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.environments import READY_FILE, environment_folder, process_environment
from pipeline.measures import DocumentResult
from pipeline.results import read_result, write_documents, write_result
from pipeline.worker.bertscore import Compare, score_jobs, score_run
from pipeline.worker.runner import Roots
from pipeline.worker.surroundings import Surroundings
from tests.builders import make_result, make_workload

DOCUMENTS = [
    corpus.Document("1", "Fill the kettle. Boil the water. Pour.", "Boil water."),
    corpus.Document("2", "Wash the cup. Dry the cup.", "Wash and dry the cup."),
]
SETTINGS = BertScoreSettings("tiny", "1", "a" * 64, 17, 512, "cpu", {"bert-score": "0"}, baseline={"f1": 0.5})


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A data folder with DOCUMENTS and an empty run."""
    roots = Roots(tmp_path / "data", tmp_path / "cache", tmp_path / "results")
    roots.data.mkdir()
    lines = [json.dumps({"id": one.id, "document": one.document, "summary": one.summary}) for one in DOCUMENTS]
    (roots.data / "two.jsonl").write_text("\n".join(lines) + "\n")
    (roots.results / "run").mkdir(parents=True)
    return roots


def add_job(roots: Roots, name: str, texts: Sequence[str], sha256: str | None = None, status: str = "ok") -> Path:
    """A job's folder in the run, with a text for each of DOCUMENTS; "too_long" for one that was not generated."""
    folder = roots.results / "run" / name
    folder.mkdir()
    workload = make_workload(
        documents="two.jsonl", documents_sha256=sha256 or corpus.fingerprint(DOCUMENTS), docs=len(DOCUMENTS)
    )
    write_result(folder, make_result(workload=workload, status=status))
    write_documents(folder, [
        DocumentResult(one.id, text if text != "too_long" else "", "too_long" if text == "too_long" else "stop")
        for one, text in zip(DOCUMENTS, texts, strict=True)
    ])  # fmt: skip
    return folder


def equal_texts(outputs: Sequence[str], references: Sequence[str]) -> list[tuple[float, float, float]]:
    """What stands for the model: 1 where the texts are the same."""
    return [(float(output == reference),) * 3 for output, reference in zip(outputs, references, strict=True)]


def no_model() -> Compare:
    raise AssertionError("the model was loaded")


def score(roots: Roots, load: Callable[[], Compare] = lambda: equal_texts) -> int:
    return score_jobs("run", roots, SETTINGS, load)


def test_what_was_written_on_random_weights_is_not_scored(roots: Roots) -> None:
    folder = add_job(roots, "random", ["a", "b"])
    result = read_result(folder / "result.json")
    write_result(folder, replace(result, job=replace(result.job, synthetic=True)))
    assert score(roots, no_model) == 0
    assert not (folder / SCORES_FILE).exists()


def test_each_output_is_scored_against_its_own_reference_and_nothing_else_is_touched(roots: Roots) -> None:
    folder = add_job(roots, "a", ["Wash and dry the cup.", "Wash and dry the cup."])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert score(roots) == 0
    lines = [json.loads(line) for line in (folder / "bertscore.jsonl").read_text().splitlines()]
    assert lines == [
        {"id": "1", "bertscore_precision": 0.0, "bertscore_recall": 0.0, "bertscore_f1": 0.0},
        {"id": "2", "bertscore_precision": 1.0, "bertscore_recall": 1.0, "bertscore_f1": 1.0},
    ]
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert {path.name for path in folder.iterdir()} == {*before, "bertscore.jsonl", "bertscore.json"}


def test_the_summary_has_means_and_the_rescaled_one_by_the_baseline(roots: Roots) -> None:
    folder = add_job(roots, "a", ["Boil.", "Wash and dry the cup."])
    score(roots)
    summary = read_summary(folder)
    assert summary is not None
    assert (summary.settings, summary.documents, summary.f1_mean) == (SETTINGS, 2, 0.5)
    assert summary.f1_rescaled_mean == 0.0


def test_jobs_that_failed_and_documents_that_were_not_generated_are_left_out(roots: Roots) -> None:
    failed = add_job(roots, "a", ["Boil.", "Wash."], status="failed")
    partial = add_job(roots, "b", ["too_long", "Wash."])
    none_generated = add_job(roots, "c", ["too_long", "too_long"])
    assert score(roots) == 0
    assert [read_summary(folder) for folder in (failed, none_generated)] == [None, None]
    assert [json.loads(line)["id"] for line in (partial / "bertscore.jsonl").read_text().splitlines()] == ["2"]


def test_what_is_scored_is_kept_and_what_has_changed_since_is_scored_anew(roots: Roots) -> None:
    folder = add_job(roots, "a", ["Boil.", "Wash."])
    score(roots)
    assert score(roots, no_model) == 0
    write_documents(folder, [DocumentResult(one.id, one.summary, "stop") for one in DOCUMENTS])
    assert score(roots) == 0
    summary = read_summary(folder)
    assert summary is not None
    assert summary.f1_mean == 1.0


def test_a_job_whose_documents_changed_is_named_and_the_others_are_scored(
    roots: Roots, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = add_job(roots, "a", ["Boil.", "Wash."], sha256="0" * 64)
    other = add_job(roots, "b", ["Boil.", "Wash."])
    assert score(roots) == 1
    assert "error: a: " in capsys.readouterr().err
    assert read_summary(changed) is None
    assert read_summary(other) is not None


def test_a_job_without_its_documents_is_named_and_the_others_are_scored(
    roots: Roots, capsys: pytest.CaptureFixture[str]
) -> None:
    path = add_job(roots, "a", ["Boil.", "Wash."]) / "documents.jsonl"
    other = add_job(roots, "b", ["Boil.", "Wash."])
    path.unlink()
    assert score(roots) == 1
    assert f"error: a: {path}: can't be read (No such file or directory)" in capsys.readouterr().err
    assert read_summary(other) is not None


def test_a_document_of_another_workload_is_named_and_the_others_are_scored(
    roots: Roots, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = add_job(roots, "a", ["Boil.", "Wash."])
    other = add_job(roots, "b", ["Boil.", "Wash."])
    write_documents(stranger, [DocumentResult("stranger", "Boil.", "stop")])
    assert score(roots) == 1
    said = f"error: a: {stranger / 'documents.jsonl'}: document 'stranger' is not of this workload"
    assert said in capsys.readouterr().err
    assert (read_summary(stranger), read_summary(other) is not None) == (None, True)


def test_scoring_anew_that_is_interrupted_leaves_no_summary_of_the_scores_before(roots: Roots) -> None:
    folder = add_job(roots, "a", ["Boil.", "Wash."])
    score(roots)
    earlier = read_summary(folder)
    assert earlier is not None
    with pytest.raises(ValueError, match="JSON"):  # which has no NaN: the write of the second file breaks
        write_scores(folder, [BertScores("1", 1.0, 1.0, 1.0)], replace(earlier, f1_mean=math.nan))
    assert len((folder / SCORES_FILE).read_text().splitlines()) == 1
    assert read_summary(folder) is None


@pytest.mark.parametrize(("run", "said"), [("other", "holds no result"), ("../run", "can't be used")])
def test_a_run_that_is_not_there_is_refused(roots: Roots, run: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        score_jobs(run, roots, SETTINGS, no_model)


def surroundings(image: Image, variant: str = "cpu") -> Surroundings:
    [chosen] = [one for one in image.variants if one.name == variant]
    return Surroundings(image, chosen, "process", Path("/nonexistent"))


def test_another_image_names_the_one_that_does_it(roots: Roots) -> None:
    catalog = load_catalog()
    with pytest.raises(UsageError, match="image bertscore does it, this is reference"):
        score_run("run", catalog, surroundings(catalog.images["reference"]), roots)


def test_a_model_that_is_not_prepared_says_how_to_prepare_it(roots: Roots) -> None:
    catalog = load_catalog()
    with pytest.raises(BenchmarkError, match="--prepare roberta-large in this image first"):
        score_run("run", catalog, surroundings(catalog.images[read_scorer().image]), roots)


def test_the_model_and_its_image_stand_in_no_catalogue_but_its_own() -> None:
    catalog, scorer = load_catalog(), read_scorer()
    assert scorer.model not in catalog.models
    assert scorer.image not in {experiment.image for experiment in catalog.experiments.values()}
    own = scorer.catalog(catalog)
    assert (list(own.models), [item.image for item in own.experiments.values()]) == ([scorer.model], [scorer.image])


# A RoBERTa of 18 narrow layers with random weights, whose folder's name has "t5" in it, and bert-score's own call.
IN_THE_IMAGE = """
import json, sys
from pathlib import Path
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import RobertaConfig, RobertaModel
from pipeline.worker.bertscore import load, read_baseline
from pipeline.bertscore import read_scorer

folder, pairs = Path(sys.argv[1], "t5"), json.loads(sys.argv[2])
folder.mkdir()
tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
special, alphabet = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
tokenizer.train_from_iterator([text for pair in pairs for text in pair] * 5, trainer)
tokenizer.model.save(str(folder))
(folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 48}))
torch.manual_seed(0)
config = RobertaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=18, num_attention_heads=4,
                       intermediate_size=64, max_position_embeddings=50)
RobertaModel(config).save_pretrained(folder)

import os
outputs, references = map(list, zip(*pairs))
ours = load(folder, 17, "cpu")(outputs, references)
import bert_score
os.chdir(folder.parent)
folder.rename("plain")
theirs = bert_score.score(outputs, references, model_type="plain", num_layers=17, device="cpu")
print(json.dumps([ours, list(zip(*(part.tolist() for part in theirs))), read_baseline(read_scorer())]))
"""


def test_scores_are_bert_scores_own_and_0_for_an_output_without_words(cache: Path, tmp_path: Path) -> None:
    image = load_catalog().images[read_scorer().image]
    variant = image.variants[0]
    folder = environment_folder(cache, image, variant)
    if not (folder / READY_FILE).exists():
        pytest.skip(
            f"image {image.name} is not made here; `python orchestrator.py --bertscore RUN --launcher process` makes it"
        )
    pairs = [
        ("Wash the cup.", "Dry the cup."),
        ("", "Dry the cup."),
        ("Boil water " * 40, "Boil the water, then pour."),
    ]
    done = subprocess.run(
        [str(folder / "bin" / "python"), "-c", IN_THE_IMAGE, str(tmp_path), json.dumps(pairs)],
        env=process_environment(cache, image, variant, network=False),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs, baseline = json.loads(done.stdout.splitlines()[-1])
    assert ours == theirs
    assert ours[1] == [0.0, 0.0, 0.0]
    assert 0 < ours[0][2] < 1
    assert set(baseline) == {"precision", "recall", "f1"}
