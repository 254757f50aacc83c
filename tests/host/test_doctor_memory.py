"""When the doctor says of an experiment that it fits, may not fit, or can't."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.entries import Model
from pipeline.hardware import Hardware
from pipeline.host.doctor import memory
from pipeline.host.doctor.memory import Memory, main_memory, memory_checks
from pipeline.spec import Check
from tests.machines import A100, A100_BYTES, CPU, GIB, LLAMA, T4, T4_BYTES, make_request, make_session

LARGE = replace(LLAMA, name="large", parameters=70 * 10**9, linear_parameters=68 * 10**9)


def checked(
    name: str, hardware: Hardware, has: Memory, model: Model = LLAMA, *, fetched: bool = True, batch_size: int = 8
) -> Check:
    session = make_session(hardware, name, model=model)
    selected = session.selected
    request = make_request(session, batch_size=batch_size) if fetched else None
    [found] = memory_checks(selected, hardware, has, request, {})
    return found


def test_weights_that_exceed_the_card_fail_whatever_the_batch() -> None:
    found = checked("none", A100, Memory((A100_BYTES,)), LARGE, batch_size=1)
    assert found.status == "fail"
    assert found.stops == ("none",)
    assert found.message == "the weights alone take 130.39 GiB, more than 40.00 GiB"


def test_quantised_to_nearly_the_cards_size_they_are_a_warning_and_no_failure() -> None:
    found = checked("4-bit", A100, Memory((A100_BYTES,)), LARGE)
    assert found.status == "warn"
    assert found.mend is not None and "--batch-size" in found.mend


def test_a_batch_that_does_not_fit_is_a_warning_since_it_can_be_halved() -> None:
    assert checked("none", A100, Memory((A100_BYTES,)), batch_size=64).status == "warn"
    assert checked("none", A100, Memory((A100_BYTES,)), batch_size=8).status == "pass"


def test_an_engine_that_reserves_a_share_fails_where_that_holds_no_longest_request() -> None:
    found = checked("vllm", T4, Memory((T4_BYTES,)))
    assert found.status == "fail"
    assert "the weights and the longest request's KV cache" in found.message
    assert "the engine's 90% of 14.75 GiB" in found.message
    assert checked("vllm", A100, Memory((A100_BYTES,))).status == "pass"


def test_a_7b_model_in_4_bits_fits_a_t4() -> None:
    assert checked("vllm-awq", T4, Memory((T4_BYTES,))).status == "pass"
    assert checked("4-bit", T4, Memory((T4_BYTES,)), batch_size=4).status == "pass"


def test_memory_that_others_hold_makes_it_a_warning_and_never_a_failure() -> None:
    found = checked("none", A100, Memory((A100_BYTES,), 39 * GIB))
    assert found.status == "warn"
    assert "39.00 GiB are in use by others" in found.message


def test_a_card_that_is_only_named_fails_by_its_largest_size_and_warns_by_its_smallest() -> None:
    sizes = Memory((16 * GIB, 40 * GIB))
    assert checked("none", A100, sizes, batch_size=8).status == "warn"
    assert checked("none", A100, sizes, LARGE).status == "fail"


def test_documents_that_are_not_there_leave_the_kv_cache_unknown() -> None:
    assert checked("none", A100, Memory((A100_BYTES,)), fetched=False).status == "unknown"
    assert checked("none", A100, Memory((A100_BYTES,)), LARGE, fetched=False).status == "fail"


def test_what_can_not_be_told_is_unknown() -> None:
    assert checked("none", CPU, Memory(())).status == "unknown"
    assert checked("none", CPU, Memory((GIB,)), replace(LLAMA, attention=None)).status == "unknown"


def test_unquantised_weights_take_twice_as_much_in_float32_on_a_cpu() -> None:
    assert checked("none", CPU, Memory((20 * GIB,))).status == "fail"
    assert checked("gguf-q4", CPU, Memory((32 * GIB,))).status == "pass"


def test_an_experiment_without_a_model_needs_none() -> None:
    session = make_session(CPU, "lead-3")
    selected = session.selected
    assert memory_checks(selected, CPU, Memory((GIB,)), None, {}) == []


def test_a_containers_limit_counts_where_it_is_lower_than_the_machines_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    monkeypatch.setattr(memory, "CGROUP_LIMIT", limit)
    assert main_memory().sizes == (GIB,)
    limit.write_text("max\n")
    assert main_memory().sizes != (GIB,)
