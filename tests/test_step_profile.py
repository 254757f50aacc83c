"""benchmarks.step_profile: what a trace of decoding steps comes to."""

import pytest

from benchmarks.step_profile import OTHER, summary

ATTENTION = "void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<flash::Mainloop"
LINEAR = "void cutlass::device_kernel<vllm::cutlass_3x_gemm_sm90_fp8<cutlass::float_e4m3_t"


def event(start: float, duration: float, name: str, category: str = "kernel") -> dict[str, object]:
    return {"ts": start, "dur": duration, "name": name, "cat": category}


def test_time_is_shared_out_among_kinds_of_kernels_a_step() -> None:
    found = summary(
        [
            event(0, 4000, ATTENTION),
            event(4000, 2000, LINEAR),
            event(6000, 1000, "vllm::reshape_and_cache_flash_kernel"),
            event(7000, 500, "triton_red_fused_rms_norm"),
            event(7500, 500, "Memcpy HtoD", "gpu_memcpy"),
        ],
        steps=2,
    )
    assert found["kinds_ms"] == {
        "attention": 2.0,
        "linear layers": 1.0,
        "cache writes": 0.5,
        OTHER: 0.25,
        "copies": 0.25,
    }
    assert found["step_ms"] == 4.0


def test_busy_is_the_time_with_any_kernel_at_work() -> None:
    overlapping = [event(0, 400, ATTENTION), event(200, 400, LINEAR), event(900, 100, LINEAR)]
    assert summary(overlapping, steps=1)["busy"] == pytest.approx(0.7)


def test_what_the_host_does_is_left_out() -> None:
    seen = [event(0, 100, ATTENTION), event(-5000, 9000, "engine.step", "cpu_op")]
    assert summary(seen, steps=1)["step_ms"] == 0.1


def test_a_trace_without_kernels_is_refused() -> None:
    with pytest.raises(SystemExit, match="no kernel"):
        summary([event(0, 1, "engine.step", "cpu_op")], steps=1)
