"""What the doctor says of machines that aren't here, and what a run leaves out for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.datasets import Dataset, NotPrepared
from pipeline.errors import UsageError
from pipeline.gpus import GpuProcess
from pipeline.hardware import Hardware
from pipeline.host.doctor.containers import DockerFacts, builder_checks, docker_checks
from pipeline.host.doctor.examine import dataset_checks, examine, without_hopeless
from pipeline.host.doctor.folders import Limits
from pipeline.host.doctor.gather import Facts
from pipeline.host.doctor.gpu import Card, has_nvidia_card
from pipeline.host.doctor.hub import Gated, Repository
from pipeline.plan import Selected, Skipped
from pipeline.spec import Check
from tests.machines import A100, CPU, GIB, T4, T4_BYTES, V100, make_facts, make_request, make_session, statuses


def examined(hardware: Hardware, facts: Facts, *experiments: str) -> list[Check]:
    session = make_session(hardware, *experiments)
    return examine(session, [make_request(session)], facts)


def one(checks: list[Check], kind: str, subject: str) -> Check:
    [found] = [check for check in checks if (check.check, check.subject) == (kind, subject)]
    return found


def test_an_idle_a100_with_everything_passes() -> None:
    checks = examined(A100, make_facts())
    assert {check.status for check in checks} <= {"pass", "skip"}
    assert statuses(checks, "experiment")["flash-attn"] == "pass"


def test_a_t4_is_told_what_flash_attention_needs() -> None:
    found = one(examined(T4, make_facts(T4_BYTES)), "experiment", "flash-attn")
    assert found.status == "skip"
    assert found.message == "needs compute capability 8.0, this is Tesla T4 (compute capability 7.5)"


def test_what_is_asked_for_by_name_and_can_not_run_fails_as_it_does_in_a_run() -> None:
    found = one(examined(T4, make_facts(T4_BYTES), "flash-attn"), "experiment", "flash-attn")
    assert found.status == "fail"
    assert found.mend


def test_the_4_bit_layouts_of_vllm_need_turing_on_a_gpu_and_run_on_a_cpu() -> None:
    for name in ("vllm-awq", "vllm-autoawq", "vllm-w4a16"):
        [on_v100] = make_session(V100, name).planned
        assert isinstance(on_v100, Skipped)
        assert on_v100.reason.startswith("needs compute capability 7.5, this is Tesla V100")
        assert isinstance(make_session(T4, name).planned[0], Selected)
        assert isinstance(make_session(CPU, name).planned[0], Selected)


def test_an_old_driver_gets_the_older_variant_and_a_warning() -> None:
    found = one(examined(replace(A100, driver=550), make_facts()), "driver", "image vllm")
    assert found.status == "warn"
    assert "variant cu128 is taken, since cu130 (CUDA 13.0) needs driver 580 and this is 550" in found.message
    assert found.mend == "upgrade the NVIDIA driver for the newer variant"


def test_a_driver_older_than_every_variant_skips_the_experiment() -> None:
    found = one(examined(replace(A100, driver=470), make_facts()), "experiment", "vllm")
    assert found.status == "skip"
    assert "needs NVIDIA driver 525 or newer, this is 470" in found.message


def test_a_gpu_that_is_only_named_fails_and_its_driver_is_unknown() -> None:
    named = replace(A100, driver=None, uuids=(), present=False)
    checks = examined(named, make_facts(cards=()))
    assert one(checks, "gpu", "a100").status == "fail"
    assert set(statuses(checks, "driver").values()) == {"unknown"}


def test_others_on_the_gpu_are_named() -> None:
    card = Card(40 * GIB, 20 * GIB, (GpuProcess(4242, "python", 19 * GIB),), "shared")
    found = one(examined(A100, make_facts(cards=(card,))), "gpu", "other processes")
    assert (found.status, found.message) == ("warn", "in use by process 4242 (python, 19.00 GiB)")


def test_a_process_that_can_not_be_seen_still_holds_its_memory() -> None:
    found = one(examined(A100, make_facts(cards=(Card(40 * GIB, 20 * GIB, (), "shared"),))), "gpu", "other processes")
    assert found.status == "warn"
    assert "20.00 GiB are in use" in found.message


def test_a_gpu_for_no_process_or_for_anothers_alone_stops_what_needs_it() -> None:
    taken = Card(40 * GIB, GIB, (GpuProcess(1),), "exclusive")
    for card in (replace(taken, mode="prohibited"), taken):
        session = make_session(A100)
        checks = examine(session, [make_request(session)], make_facts(cards=(card,)))
        assert one(checks, "gpu", "compute mode").status == "fail"
        left = without_hopeless(session, checks).selected
        assert [item.experiment.name for item in left] == ["lead-3"]


def test_exclusive_mode_with_nobody_there_passes() -> None:
    alone = make_facts(cards=(Card(40 * GIB, 0, (), "exclusive"),))
    assert one(examined(A100, alone), "gpu", "compute mode").status == "pass"


def test_what_the_driver_does_not_tell_is_unknown() -> None:
    checks = examined(A100, make_facts(cards=(Card(),)))
    assert statuses(checks, "gpu")["other processes"] == statuses(checks, "gpu")["compute mode"] == "unknown"


def test_a_card_whose_driver_is_silent_is_a_warning_where_no_device_was_asked_for() -> None:
    session = make_session(CPU, "none")
    session = replace(session, arguments=replace(session.arguments, gpu="auto"))
    checks = examine(session, None, make_facts(cards=(), silent_card=True))
    assert statuses(checks, "gpu") == {"driver": "warn"}


@pytest.mark.parametrize(("vendor", "kind", "found"), [("0x10de", "0x030200", True), ("0x1af4", "0x030000", False)])
def test_an_nvidia_card_is_seen_on_the_bus_whatever_its_driver_says(
    tmp_path: Path, vendor: str, kind: str, found: bool
) -> None:
    device = tmp_path / "0000:00:04.0"
    device.mkdir()
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{kind}\n")
    assert has_nvidia_card(tmp_path) is found
    assert not has_nvidia_card(tmp_path / "nowhere")


def test_a_missing_token_stops_only_what_needs_the_gated_model() -> None:
    gated = Gated(Repository("meta-llama/Llama-2-7b-chat-hf", None, ("none", "vllm")), token=False)
    session = make_session(A100)
    checks = examine(session, [make_request(session)], make_facts(gated=[gated]))
    planned = {item.experiment.name: item for item in without_hopeless(session, checks).planned}
    skipped = planned["none"]
    assert isinstance(skipped, Skipped)
    assert "gated, not in the cache, and there is no token" in skipped.reason
    assert skipped.mend is not None and "HF_TOKEN" in skipped.mend
    assert isinstance(planned["vllm"], Skipped)
    assert isinstance(planned["gguf-q4"], Selected)


def test_what_is_skipped_already_keeps_its_own_reason() -> None:
    session = make_session(T4)
    before = {item.experiment.name: item for item in session.planned}
    after = without_hopeless(session, [Check("disk", "flash-attn", "fail", "no room", None, ("flash-attn",))]).planned
    assert {item.experiment.name: item for item in after} == before


def test_no_engine_fails_where_docker_was_asked_for_and_else_processes_are_taken() -> None:
    absent = DockerFacts(fault="no Docker engine answers at unix:///x (refused); join the docker group")
    [insisted] = docker_checks(absent, insisted=True, gpu=True)
    [auto] = docker_checks(absent, insisted=False, gpu=True)
    assert (insisted.status, auto.status) == ("fail", "skip")
    assert insisted.mend == "join the docker group"


def test_a_missing_toolkit_fails_where_docker_was_asked_for_and_matters_only_for_a_gpu() -> None:
    facts = DockerFacts(version="27.3.1", gpus=False)
    subject = "NVIDIA Container Toolkit"
    assert statuses(docker_checks(facts, insisted=True, gpu=True), "docker")[subject] == "fail"
    assert statuses(docker_checks(facts, insisted=False, gpu=True), "docker")[subject] == "warn"
    assert subject not in statuses(docker_checks(facts, insisted=True, gpu=False), "docker")


def test_an_engine_older_than_any_that_was_tried_is_a_warning() -> None:
    for version, status in (("19.03.15", "warn"), ("20.10.24+dfsg1", "pass"), ("29.0.0", "pass"), (None, "unknown")):
        [found] = docker_checks(DockerFacts(version=version), insisted=True, gpu=False)
        assert found.status == status, version


def test_images_that_can_not_be_built_stop_their_experiments() -> None:
    [found] = builder_checks("no docker command with BuildKit is on the PATH; install docker-buildx-plugin", ("none",))
    assert (found.status, found.stops, found.mend) == ("fail", ("none",), "install docker-buildx-plugin")


def test_a_changed_dataset_fails_with_its_mend() -> None:
    [found] = dataset_checks("sample", UsageError("howto_en.jsonl: changed; take the repository's file again"))
    assert (found.status, found.message) == ("fail", "howto_en.jsonl: changed")
    assert found.mend == "take the repository's file again"


def test_a_dataset_that_has_to_be_fetched_is_a_warning_and_a_whole_one_passes() -> None:
    [absent] = dataset_checks("wikilingua", NotPrepared("wikilingua", "not fetched yet", "187 MB"))
    [there] = dataset_checks("sample", Dataset("sample", "sample/howto_en.jsonl", 30))
    assert (absent.status, there.status) == ("warn", "pass")
    assert absent.mend is not None and "--prepare" in absent.mend


def test_folders_that_can_not_be_written_to_fail_where_something_has_to_be_written() -> None:
    checks = examined(CPU, make_facts(writable={"results": False, "cache": False}))
    assert statuses(checks, "folders") == {"results": "fail", "cache": "warn"}


def test_limits_count_for_processes_and_not_for_containers() -> None:
    session = make_session(CPU, "none", launcher="process")
    facts = make_facts(docker=None, cards=(), limits=Limits(64 * 10**6, 256))
    assert statuses(examine(session, None, facts), "limits") == {"/dev/shm": "warn", "open files": "warn"}
    assert statuses(examined(CPU, facts, "none"), "limits") == {}
