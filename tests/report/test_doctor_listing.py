"""The doctor's findings as people and programs read them."""

from pipeline.report.doctor import as_json, doctor_listing, troubles
from pipeline.spec import Check

CHECKS = [
    Check("experiment", "none", "pass", "image transformers (cu130)"),
    Check("experiment", "flash-attn", "skip", "needs compute capability 8.0, this is 7.5"),
    Check("docker", "engine", "skip", "not asked for"),
    Check("gpu", "other processes", "warn", "in use by process 7 (\x1b[31mred)", "end them"),
    Check("disk", "vllm", "fail", "no room", "free some space", ("vllm",)),
    Check("driver", "image vllm", "unknown", "no driver was found"),
]


def test_each_check_is_a_line_with_its_mend_below() -> None:
    lines = doctor_listing(CHECKS).splitlines()
    assert lines[0].split()[:3] == ["pass", "experiment", "none"]
    assert lines[lines.index(next(line for line in lines if line.startswith("fail"))) + 1].strip() == (
        "mend: free some space"
    )
    assert lines[-1] == "1 pass, 1 warn, 1 fail, 2 skip, 1 unknown"


def test_a_run_is_told_warnings_failures_and_what_it_leaves_out() -> None:
    assert troubles(CHECKS) == [
        "skip: flash-attn: needs compute capability 8.0, this is 7.5",
        "warn: gpu, other processes: in use by process 7 (red); end them",
        "fail: disk, vllm: no room; free some space",
    ]


def test_names_of_processes_do_nothing_to_a_terminal() -> None:
    assert "\x1b" not in doctor_listing(CHECKS)


def test_programs_get_five_fields() -> None:
    assert as_json(CHECKS[-2]) == {
        "check": "disk",
        "subject": "vllm",
        "status": "fail",
        "message": "no room",
        "mend": "free some space",
    }
