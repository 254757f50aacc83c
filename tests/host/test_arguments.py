"""The orchestrator's own options."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import Catalog, load_catalog
from pipeline.datasets import Dataset
from pipeline.entries import Experiment, Tuned
from pipeline.errors import UsageError
from pipeline.host.arguments import Arguments, parse, parse_variants, results_folder
from pipeline.host.dataset_options import FieldChoice
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.parser import MOST_LAUNCHES
from pipeline.host.session import find_dataset, make_requests, open_session
from pipeline.plan import ANY_IMAGE

CATALOG = load_catalog()


def test_a_variant_counts_for_all_images_or_for_the_one_that_is_named() -> None:
    assert parse_variants(["cu128", "vllm=cu130"], CATALOG) == {ANY_IMAGE: "cu128", "vllm": "cu130"}


def test_an_unknown_image_of_a_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown image 'vlm'; did you mean vllm\?"):
        parse_variants(["vlm=cu130"], CATALOG)


def test_a_variant_that_an_image_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"unknown variant 'cu130'; .*cpu"):
        parse_variants(["reference=cu130"], CATALOG)


def test_a_mirror_is_only_for_what_is_pulled() -> None:
    with pytest.raises(UsageError, match=r"--registry.*add --pull"):
        parse(["--all", "--gpu", "cpu", "--registry", "mirror.example/x"], CATALOG, LAUNCHERS)


def test_processes_pull_nothing() -> None:
    with pytest.raises(UsageError, match=r"--pull.*--launcher process"):
        parse(["--all", "--gpu", "cpu", "--pull", "--launcher", "process"], CATALOG, LAUNCHERS)


def test_the_current_interpreter_runs_jobs_in_processes() -> None:
    given = parse(["--all", "--gpu", "cpu", "--env", "current"], CATALOG, LAUNCHERS)
    assert (given.env, given.launcher) == ("current", "process")
    assert parse(["--all", "--gpu", "cpu"], CATALOG, LAUNCHERS).env == "own"


@pytest.mark.parametrize("option", [("--launcher", "docker"), ("--pull",), ("--variant", "cu128")])
def test_the_current_interpreter_leaves_nothing_to_choose_of_containers_and_locks(option: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=rf"{option[0]}.*leave one of them out"):
        parse(["--all", "--gpu", "cpu", "--env", "current", *option], CATALOG, LAUNCHERS)


def test_all_leaves_out_what_is_for_asking_by_name() -> None:
    by_name_only = {name for name, item in CATALOG.experiments.items() if item.by_name_only}
    taken = parse(["--all", "--gpu", "cpu"], CATALOG, LAUNCHERS).experiments
    assert by_name_only
    assert set(taken) == set(CATALOG.experiments) - by_name_only


@pytest.mark.parametrize("name", ["vllm-autoawq", "vllm-w4a16"])
def test_an_experiment_by_name_only_can_be_asked_for(name: str) -> None:
    assert CATALOG.experiments[name].by_name_only
    assert parse(["--experiment", name, "--gpu", "cpu"], CATALOG, LAUNCHERS).experiments == (name,)


def test_repeats_of_a_job_that_would_have_no_speed_are_refused() -> None:
    with pytest.raises(UsageError, match="--repeats 2: a job that goes on from an interrupted one has no speed"):
        parse(["--all", "--gpu", "cpu", "--repeats", "2", "--resume-documents"], CATALOG, LAUNCHERS)


def test_launches_and_repeats_are_one_unless_asked_for() -> None:
    given = parse(["--all", "--gpu", "cpu"], CATALOG, LAUNCHERS)
    assert (given.launches, given.repeats) == (1, 1)


def test_the_most_launches_are_taken() -> None:
    assert parse(["--all", "--gpu", "cpu", "--launches", str(MOST_LAUNCHES)], CATALOG, LAUNCHERS).launches == 1000


@pytest.mark.parametrize("launches", ["1001", "99999999", "0", "-1", "many"])
def test_launches_beyond_what_a_run_can_plan_are_refused(launches: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--all", "--gpu", "cpu", f"--launches={launches}"], CATALOG, LAUNCHERS)
    assert f"'{launches}' is not a whole number above 0 (and at most 1000)" in capsys.readouterr().err


def tune(*arguments: str) -> Arguments:
    return parse(["--gpu", "cpu", "--tune", "gguf-q4", *arguments], CATALOG, LAUNCHERS)


def test_tuning_takes_the_one_experiment_and_half_an_hour_unless_told_otherwise() -> None:
    given = tune()
    assert (given.action, given.experiments, given.all, given.budget) == ("tune", ("gguf-q4",), False, 30)
    assert tune("--budget", "5").budget == 5


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--all",), "--all: --tune gguf-q4 runs that experiment alone"),
        (("--experiment", "none"), "--experiment: --tune gguf-q4 runs that experiment alone"),
        (("--preset", "published"), "--preset reproduces published settings"),
        (("--batch-size", "4"), "--batch-size: --tune tries these itself"),
        (("--find-batch-size",), "--find-batch-size: --tune tries these itself"),
        (("--launches", "3"), "--launches: --tune tries these itself"),
        (("--only-failed",), "--only-failed: --tune keeps a trial that failed"),
        (("--fail-fast",), "--fail-fast: to --tune a trial that fails is a finding"),
        (("--resume-documents",), "--resume-documents leaves the speed unknown"),
    ],
)
def test_what_would_make_tuning_another_question_is_refused(arguments: tuple[str, ...], fault: str) -> None:
    given = [next(iter(CATALOG.presets)) if word == "published" else word for word in arguments]
    with pytest.raises(UsageError, match=fault):
        tune(*given)


def test_a_budget_without_tuning_is_refused() -> None:
    with pytest.raises(UsageError, match="--budget is the time of --tune"):
        parse(["--gpu", "cpu", "--all", "--budget", "5"], CATALOG, LAUNCHERS)


def test_what_is_to_be_tuned_has_to_be_there_and_to_run_a_model() -> None:
    with pytest.raises(UsageError, match=r"unknown experiment 'gguf-q5'; did you mean gguf-q4"):
        parse(["--gpu", "cpu", "--tune", "gguf-q5"], CATALOG, LAUNCHERS)
    with pytest.raises(UsageError, match="--tune lead-3: runs no model"):
        parse(["--gpu", "cpu", "--tune", "lead-3"], CATALOG, LAUNCHERS)


def test_a_tuned_preset_is_not_tuned_again() -> None:
    preset = replace(CATALOG.experiments["gguf-q4"], name="mine", tuned=Tuned("gguf-q4", {}, "cpu", "gemma-3-270m"))
    with pytest.raises(UsageError, match="--tune mine: was tuned already; tune gguf-q4"):
        parse(["--gpu", "cpu", "--tune", "mine"], with_experiment(preset), LAUNCHERS)


def test_all_takes_tuned_presets_too() -> None:
    preset = replace(CATALOG.experiments["gguf-q4"], name="mine", tuned=Tuned("gguf-q4", {}, "cpu", "gemma-3-270m"))
    assert "mine" in parse(["--gpu", "cpu", "--all"], with_experiment(preset), LAUNCHERS).experiments


def with_experiment(experiment: Experiment) -> Catalog:
    return replace(CATALOG, experiments={**CATALOG.experiments, experiment.name: experiment})


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["--all"], "results"),
        (["--results", "elsewhere", "--list"], "elsewhere"),
        (["--list", "--results=elsewhere"], "elsewhere"),
        (["--resul", "elsewhere"], "elsewhere"),
        (["--all", "--results"], "results"),
        (["--results", "--all"], "results"),
        (["--gpu", "cpu", "--report", "results"], "results"),
    ],
)
def test_the_results_folder_is_known_before_the_rest_is_parsed(arguments: list[str], folder: str) -> None:
    assert results_folder(arguments) == Path(folder)


def shards(*arguments: str) -> Arguments:
    return parse(["--gpu", "cpu", "--experiment", "lead-3", "--shards", "4", *arguments], CATALOG, LAUNCHERS)


def test_documents_are_not_split_unless_asked_for() -> None:
    assert parse(["--all", "--gpu", "cpu"], CATALOG, LAUNCHERS).shards == 1
    assert shards("--launches", "2", "--scenario", "single").shards == 4


@pytest.mark.parametrize("option", [("--repeats", "2"), ("--find-batch-size",)])
def test_what_belongs_to_one_worker_s_job_is_refused_with_shards(option: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=rf"{option[0]}: belongs to one worker's job, and --shards 4"):
        shards(*option)


def test_tuning_is_of_one_worker() -> None:
    with pytest.raises(UsageError, match="--shards: --tune looks for the settings of one worker"):
        tune("--shards", "2")


def test_more_shards_than_documents_are_refused(tmp_path: Path) -> None:
    folders = ("--data", "data", "--cache", str(tmp_path), "--results", str(tmp_path), "--launcher", "process")
    session = open_session(shards("--docs", "3", *folders), CATALOG)
    found = find_dataset(session)
    assert isinstance(found, Dataset)
    with pytest.raises(UsageError, match="--shards 4: there are 3 documents to split"):
        make_requests(session, found)


def test_a_run_s_jobs_are_split_as_asked(tmp_path: Path) -> None:
    folders = ("--data", "data", "--cache", str(tmp_path), "--results", str(tmp_path), "--launcher", "process")
    session = open_session(shards("--docs", "5", *folders), CATALOG)
    found = find_dataset(session)
    assert isinstance(found, Dataset)
    assert [request.shards for request in make_requests(session, found)] == [4]


def test_fields_of_a_users_file_are_named_and_dots_reach_into_nested_ones() -> None:
    words = ["--all", "--gpu", "cpu", "--document-field", "article.text", "--id-field", "key"]
    assert parse(words, CATALOG, LAUNCHERS).fields == FieldChoice("article.text", None, "key")
    with pytest.raises(UsageError, match=r"--summary-field '\.x': name a field"):
        parse(["--all", "--gpu", "cpu", "--summary-field", ".x"], CATALOG, LAUNCHERS)
