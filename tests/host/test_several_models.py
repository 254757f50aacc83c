"""Several models in one command: each is planned, prepared and run like one alone, in one run."""

import re
from pathlib import Path

import pytest

from pipeline.datasets import Dataset
from pipeline.errors import UsageError
from pipeline.host.arguments import parse
from pipeline.host.doctor.examine import examine, without_hopeless
from pipeline.host.doctor.hub import Gated
from pipeline.host.doctor.missing import find_missing, repositories_to_fetch
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.prepare import Broken, Prepared
from pipeline.host.preview import preview
from pipeline.host.session import Session, find_dataset, make_requests, open_session
from pipeline.plan import Request, weights_needed
from pipeline.spec import JobWeights
from tests.conftest import REPOSITORY
from tests.machines import CATALOG, make_facts

GEMMA, LLAMA, MISTRAL = "gemma-3-270m", "llama-2-7b-chat", "mistral-7b-instruct"


def opened(tmp_path: Path, *words: str, models: tuple[str, ...] = (GEMMA, LLAMA)) -> Session:
    named = [word for model in models for word in ("--model", model)]
    folders = ["--cache", str(tmp_path / "cache"), "--data", str(REPOSITORY / "data"), "--dataset", "sample"]
    given = [*(words or ["--experiment", "lead-3", "--experiment", "none"]), "--gpu", "cpu", "--launcher", "process"]
    return open_session(parse([*given, *named, *folders, "--docs", "2"], CATALOG, LAUNCHERS), CATALOG)


def asked(session: Session) -> tuple[Request, ...]:
    dataset = find_dataset(session)
    assert isinstance(dataset, Dataset)
    return make_requests(session, dataset)


def test_each_model_has_a_plan_of_its_own_with_its_own_prompt(tmp_path: Path) -> None:
    session = opened(tmp_path)
    requests = asked(session)
    assert [request.model.name for request in requests] == [GEMMA, LLAMA]
    assert [request.workload.prompt.name for request in requests] == ["published-vllm", "published-hf"]
    assert len({request.run for request in requests}) == 1
    titles = [item.title for item in session.planned]
    assert titles == ["lead-3", f"none ({GEMMA})", "lead-3", f"none ({LLAMA})"]


def test_with_one_model_experiments_are_called_as_they_are(tmp_path: Path) -> None:
    assert [item.title for item in opened(tmp_path, models=(GEMMA,)).planned] == ["lead-3", "none"]


def test_a_reference_without_a_model_runs_once_for_each_prompt(tmp_path: Path) -> None:
    session = opened(tmp_path, models=(LLAMA, GEMMA, MISTRAL))
    assert [[item.experiment.name for item in plan.planned] for plan in session.plans] == [
        ["lead-3", "none"],
        ["lead-3", "none"],
        ["none"],
    ]


def test_one_prompt_for_all_is_asked_for_as_ever(tmp_path: Path) -> None:
    session = opened(tmp_path, "--experiment", "none", "--prompt", "published-hf")
    assert {request.workload.prompt.name for request in asked(session)} == {"published-hf"}


def test_a_model_named_twice_is_planned_once(tmp_path: Path) -> None:
    assert len(opened(tmp_path, models=(GEMMA, GEMMA)).plans) == 1


def test_the_run_is_named_after_its_models(tmp_path: Path) -> None:
    assert asked(opened(tmp_path))[0].run == f"cpu-{GEMMA}-{LLAMA}-sample-2x300"


def test_a_run_of_many_models_is_named_by_their_number(tmp_path: Path) -> None:
    many = tuple(CATALOG.models)
    runs = {asked(opened(tmp_path, models=order))[0].run for order in (many, many[::-1])}
    assert len(runs) == 2
    assert all(run.startswith(f"cpu-{len(many)}-models-") for run in runs)


def test_weights_are_those_of_the_jobs_own_model(tmp_path: Path) -> None:
    session = opened(tmp_path, "--experiment", "none")
    gemma, llama = session.selected
    weights = JobWeights("hf", "models/x/hf", "real", "1", "0" * 64)
    log = tmp_path / "log.txt"
    prepared = Prepared(weights={(GEMMA, "hf"): weights, (LLAMA, "hf"): Broken("gated", log)})
    assert (prepared.weights_of(gemma), prepared.obstacle(gemma)) == (weights, None)
    assert (prepared.weights_of(llama), prepared.obstacle(llama)) == (None, Broken("gated", log))
    assert prepared.broken()


def test_what_is_needed_is_told_model_by_model_and_once(tmp_path: Path) -> None:
    session = opened(tmp_path, "--experiment", "none", "--experiment", "vllm")
    assert [needed.key for needed in weights_needed(session.selected)] == [
        (GEMMA, "gguf"),
        (GEMMA, "hf"),
        (LLAMA, "hf"),
    ]
    missing = find_missing(session, None)
    assert list(missing) == [f"{name} ({model})" for model in (GEMMA, LLAMA) for name in ("none", "vllm")]


def test_every_gated_model_is_asked_about(tmp_path: Path) -> None:
    session = opened(tmp_path, "--experiment", "none", models=(GEMMA, LLAMA, "llama-3.1-8b-instruct"))
    found = repositories_to_fetch(session)
    assert [repository.name for repository in found] == [
        "meta-llama/Llama-2-7b-chat-hf",
        "meta-llama/Llama-3.1-8B-Instruct",
    ]
    assert found[1].experiments == ("none (llama-3.1-8b-instruct)",)


def test_a_gated_model_that_can_not_be_had_stops_its_own_experiments_alone(tmp_path: Path) -> None:
    session = opened(tmp_path, "--experiment", "none")
    [repository] = repositories_to_fetch(session)
    checks = examine(session, asked(session), make_facts(gated=[Gated(repository, token=False)]))
    [failed] = [check for check in checks if check.check == "hub"]
    assert failed.mend is not None and "https://huggingface.co/meta-llama/Llama-2-7b-chat-hf" in failed.mend
    left = without_hopeless(session, checks)
    assert [item.model.name for item in left.selected if item.model] == [GEMMA]


def test_the_plan_names_the_model_of_each_experiment(tmp_path: Path) -> None:
    session = opened(tmp_path)
    rows = preview(session, asked(session))
    assert [(row.experiment, row.model) for row in rows] == [
        ("lead-3", None),
        ("none", GEMMA),
        ("lead-3", None),
        ("none", LLAMA),
    ]


def test_the_memory_of_each_model_is_judged_by_its_own_shape(tmp_path: Path) -> None:
    session = opened(tmp_path, "--experiment", "none")
    checks = [check for check in examine(session, asked(session), make_facts()) if check.check == "memory"]
    assert [check.subject for check in checks] == [f"none ({GEMMA})", f"none ({LLAMA})"]
    gemma, llama = (float(re.findall(r"weights ([\d.]+)", check.message)[0]) for check in checks)
    models = CATALOG.models
    assert llama / gemma == pytest.approx(models[LLAMA].parameters / models[GEMMA].parameters, rel=0.01)


@pytest.mark.parametrize("words", [("--tune", "none"), ("--explain-speed", "mine"), ("--bertscore", "mine")])
def test_what_is_done_with_one_model_refuses_several(words: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=rf"--model {LLAMA}: {words[0]} .* leave all but one of them out"):
        parse([*words, "--model", GEMMA, "--model", LLAMA], CATALOG, LAUNCHERS)


def test_an_unknown_model_is_named_beside_a_known_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'gema-3-270m'; did you mean gemma-3-270m"):
        opened(tmp_path, models=(LLAMA, "gema-3-270m"))
