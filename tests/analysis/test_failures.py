"""Classes of failures, from messages as engines print them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.analysis.failures import (
    LEAST_LITERAL,
    TAIL_BYTES,
    UNKNOWN,
    WRAPPER,
    Signature,
    classify,
    find_entry,
    load_signatures,
    read_tail,
)
from pipeline.analysis.line_patterns import possible, required_literals
from pipeline.analysis.log_lines import read_evidence
from pipeline.errors import UsageError

TABLE = load_signatures()

CAUSES = [entry for entry in TABLE if entry.class_ != WRAPPER]
NOISE = (
    "INFO 11-23 10:00:00 [config.py:1] CUDA out of memory. Tried to allocate 2 GiB\n"
    "Loading checkpoint shards:  50%|#####     | 1/2\n"
    "UserWarning: `do_sample` is set to `False`. However, `temperature` is set to `0.6`.\n"
    "Setting `pad_token_id` to `eos_token_id`:2 for open-end generation.\n"
)


def shown(entries: Sequence[Signature]) -> list[str]:
    return [f"{entry.class_}-{number}" for number, entry in enumerate(entries)]


@pytest.mark.parametrize("entry", CAUSES, ids=shown(CAUSES))
def test_an_example_finds_its_very_entry(entry: Signature) -> None:
    found = find_entry(read_evidence(entry.example), TABLE)
    assert found is not None
    assert found[0] == entry


@pytest.mark.parametrize("entry", CAUSES, ids=shown(CAUSES))
def test_an_example_finds_its_class_between_other_lines(entry: Signature) -> None:
    log = f"{NOISE}{entry.example}\n{NOISE}RuntimeError: Engine core initialization failed. See root cause above.\n"
    assert classify(log, TABLE, exit_status=1).class_ == entry.class_


@pytest.mark.parametrize("entry", CAUSES, ids=shown(CAUSES))
def test_an_example_finds_its_class_in_an_engines_or_a_builds_log(entry: Signature) -> None:
    prefixes = ("(EngineCore_DP0 pid=123) ", "[rank0]: ", "#12 34.56 ", "vllm-1  | ", "2026-11-23T10:00:00.123456789Z ")
    for prefix in prefixes:
        log = "".join(f"{prefix}{line}\r\n" for line in entry.example.splitlines())
        assert classify(log, TABLE).class_ == entry.class_, prefix


@pytest.mark.parametrize("entry", [entry for entry in TABLE if entry.class_ == WRAPPER])
def test_a_wrapper_alone_is_unknown(entry: Signature) -> None:
    assert classify(f"{NOISE}{entry.example}\n", TABLE).class_ == UNKNOWN


@pytest.mark.parametrize("entry", CAUSES, ids=shown(CAUSES))
@pytest.mark.parametrize("level", ["INFO 11-23 10:00:00 [x.py:1]", "2026-11-23 10:00:00,123 - pipeline - DEBUG -"])
def test_what_information_says_is_no_failure(entry: Signature, level: str) -> None:
    log = "".join(f"{level} {line}\n" for line in entry.example.splitlines())
    assert classify(log, TABLE).class_ == UNKNOWN


@pytest.mark.parametrize("entry", CAUSES, ids=shown(CAUSES))
def test_a_job_that_ends_well_has_no_failure(entry: Signature) -> None:
    assert classify(entry.example, TABLE, exit_status=0).class_ == UNKNOWN
    assert classify(f"{entry.example}\nProcess finished with exit code 0\n", TABLE).class_ == UNKNOWN


def test_the_entries_of_a_class_show_in_one_group() -> None:
    groups = {(entry.class_, entry.group) for entry in TABLE}
    assert len(groups) == len({entry.class_ for entry in TABLE})


def test_the_entries_of_a_class_agree_about_a_retry_but_where_this_program_says_what_broke() -> None:
    theirs = [entry for entry in TABLE if not entry.source.startswith("pipeline/")]
    assert len({(entry.class_, entry.retry) for entry in theirs}) == len({entry.class_ for entry in theirs})


@pytest.mark.parametrize(
    ("line", "class_", "retry"),
    [
        ("the Docker engine stopped while the job ran", "daemon_unreachable", True),
        ("the engine lost the container: 404 Client Error", "daemon_unreachable", True),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "daemon_unreachable", False),
        ("812 MiB more of the GPU's memory are held than before the first job", "gpu_mem_in_use", False),
        ("models.yaml: no *.safetensors, and pickle files are refused (model.bin)", "pickle_blocked", False),
    ],
)
def test_this_programs_own_words_are_known_with_what_a_retry_is_worth(line: str, class_: str, retry: bool) -> None:
    found = classify(f"{line}\n", TABLE)
    assert (found.class_, found.retry) == (class_, retry)


def test_the_line_that_shows_it_is_kept_whole() -> None:
    found = classify("one\nValueError: Your GPU does not support Int8 Matmul!\nthree\n", TABLE)
    assert found.line == "ValueError: Your GPU does not support Int8 Matmul!"


def test_the_last_line_that_matches_is_shown() -> None:
    log = "CUDA out of memory. Tried to allocate 1 GiB\nretrying\nCUDA out of memory. Tried to allocate 9 GiB\n"
    assert "9 GiB" in classify(log, TABLE).line


def test_colours_and_engine_prefixes_are_no_part_of_the_line() -> None:
    log = (
        "\x1b[0;36m(EngineCore_DP0 pid=123)\x1b[0;0m ERROR 11-23 10:00:00 [core.py:12] ValueError: No available memory "
        "for the cache blocks.\n"
    )
    found = classify(log, TABLE)
    assert found.class_ == "kv_none"
    assert found.line == "ValueError: No available memory for the cache blocks."


def test_a_cause_wins_over_the_wrapper_below_it() -> None:
    log = (
        "(EngineCore pid=9) ERROR 08-28 07:39:28 [core.py:1346] ValueError: No available memory for the cache blocks.\n"
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    assert classify(log, TABLE).class_ == "kv_none"


def test_a_cause_wins_over_a_warning_above_it() -> None:
    log = (
        "UserWarning: The NVIDIA driver on your system is too old (found version 11040).\n"
        "RuntimeError: FlashAttention only supports Ampere GPUs or newer.\n"
    )
    assert classify(log, TABLE).class_ == "fa_gpu"


def test_a_cause_wins_over_the_exit_status() -> None:
    assert classify("OSError: [Errno 28] No space left on device\n", TABLE, exit_status=137).class_ == "disk_full"


@pytest.mark.parametrize("exit_status", [137, -9])
def test_a_killed_process_is_known_by_its_exit_status(exit_status: int) -> None:
    assert classify("loading\n", TABLE, exit_status=exit_status).class_ == "host_killed"


def test_137_in_a_log_is_no_exit_status() -> None:
    assert classify("loaded 137 tensors\nexit status 1370\n", TABLE).class_ == "unknown"


def test_an_informational_line_is_no_failure() -> None:
    log = "INFO 11-23 10:00:00 [config.py:1] would be larger than the whole KV cache\nValueError: odd\n"
    found = classify(log, TABLE)
    assert found.class_ == "unknown"
    assert found.line == "ValueError: odd"


def test_nothing_but_a_wrapper_is_unknown_with_the_line_above_it() -> None:
    log = (
        "(EngineCore pid=9) ERROR 08-28 07:39:28 [core.py:1346] AssertionError: heads must divide\n"
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    found = classify(log, TABLE)
    assert found.class_ == "unknown"
    assert found.line == "AssertionError: heads must divide"
    assert not found.retry


def test_an_unknown_failure_keeps_the_last_telling_lines() -> None:
    log = (
        "starting\n"
        "Loading weights:  50%|#####     | 1/2\rLoading weights: 100%|##########| 2/2\n"
        "Traceback (most recent call last):\n"
        '  File "x.py", line 3, in <module>\n'
        "    engine.run()\n"
        "    ^^^^^^^^^^^^\n"
        "KeyError: 'rope'\n\n"
    )
    found = classify(log, TABLE)
    assert found.class_ == "unknown"
    assert found.line == "starting\nKeyError: 'rope'"


def test_an_empty_log_is_unknown() -> None:
    found = classify("", TABLE)
    assert found.class_ == "unknown"
    assert found.line == ""


def test_an_entry_for_a_phase_counts_in_that_phase_alone() -> None:
    table = (Signature("^Killed$", "build_oom", "memory", "fewer jobs", "here", phase="prepare"),)
    assert classify("Killed\n", table, phase="prepare").class_ == "build_oom"
    assert classify("Killed\n", table, phase="load").class_ == "unknown"
    assert classify("Killed\n", table).class_ == "unknown"


def test_a_failure_carries_class_phase_line_and_hint() -> None:
    failure = classify("OSError: [Errno 28] No space left on device\n", TABLE).failure("save")
    assert (failure.class_, failure.phase) == ("disk_full", "save")
    assert "Errno 28" in failure.message
    assert failure.hint is not None
    assert "free some space" in failure.hint


def test_only_transient_failures_are_worth_a_retry() -> None:
    assert {entry.class_ for entry in TABLE if entry.retry} == {
        "daemon_unreachable",
        "gpu_mem_in_use",
        "host_mem_in_use",
        "gpu_busy",
        "gpu_lost",
        "hub_rate_limited",
        "pull_rate_limited",
    }


def test_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    line = b"step 1 of many, 429 tokens, 401 Client Error, free memory on device, \xff\n"
    with path.open("wb") as stream:
        stream.write(line * (50_000_000 // len(line)))
        stream.write(b"RuntimeError: FlashAttention only supports Ampere GPUs or newer.\n")
    started = time.perf_counter()
    found = classify(read_tail(path), TABLE)
    assert found.class_ == "fa_gpu"
    assert time.perf_counter() - started < 10


def test_a_huge_log_in_memory_is_looked_at_from_its_end() -> None:
    log = "CUDA out of memory. Tried to allocate\n" + "x" * TAIL_BYTES + "\nKeyError: 'rope'\n"
    found = classify(log, TABLE)
    assert found.class_ == "unknown"
    assert len(found.line) < 1000


def test_the_code_that_a_traceback_quotes_is_no_failure() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "x.py", line 3, in <module>\n'
        '    raise MemoryError if "CUDA out of memory" in str(error) else error\n'
        "KeyError: 'rope'\n"
    )
    assert classify(log, TABLE).line == "KeyError: 'rope'"


def test_a_traceback_that_was_logged_as_a_warning_is_a_warning() -> None:
    log = (
        "WARNING:root:no fast attention\n"
        "Traceback (most recent call last):\n"
        '  File "x.py", line 3, in <module>\n'
        "    import flash_attn\n"
        "ModuleNotFoundError: No module named 'flash_attn'\n"
        "AssertionError: heads must divide\n"
    )
    assert classify(log, TABLE).class_ == UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        'prompt: "What does CUDA out of memory. Tried to allocate mean?"',
        '{"id": "a", "document": "My server says: CUDA out of memory. Tried to allocate 2 GiB"}',
        "[2026-11-23 10:00:00,123] [INFO] [config.py:1] CUDA out of memory. Tried to allocate",
        "INFO:root:CUDA out of memory. Tried to allocate",
        'time="2026-11-23T10:00:00Z" level=info msg="CUDA out of memory"',
        "2026-11-23 10:00:00.123 | INFO     | x:y:1 - CUDA out of memory",
        "I1123 10:00:00.123456 17 x.cc:1] CUDA out of memory",
    ],
)
def test_quoted_text_and_information_of_other_loggers_is_no_failure(line: str) -> None:
    assert classify(f"{line}\n", TABLE).class_ == UNKNOWN


WARNING = "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).\n"


def test_a_warning_explains_a_symptom() -> None:
    assert classify(f"{WARNING}RuntimeError: No CUDA GPUs are available\n", TABLE).class_ == "driver_too_old"


def test_a_warning_explains_an_end_without_any_word() -> None:
    assert classify(WARNING, TABLE, exit_status=1).class_ == "driver_too_old"


def test_a_warning_does_not_explain_an_error_that_is_not_known() -> None:
    assert classify(f"{WARNING}KeyError: 'rope'\n", TABLE).class_ == UNKNOWN


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_traceback_below_information_is_how_the_program_ended(level: str) -> None:
    log = (
        f"{level}:root:loading\n"
        "Traceback (most recent call last):\n"
        '  File "x.py", line 3, in <module>\n'
        "    load()\n"
        "RuntimeError: CUDA error: out of memory\n"
    )
    assert classify(log, TABLE).class_ == "cuda_oom"


def test_a_traceback_below_a_warning_is_how_the_program_ended_where_no_other_exception_is() -> None:
    log = (
        "WARNING:root:casting to float16\n"
        "Traceback (most recent call last):\n"
        '  File "x.py", line 3, in <module>\n'
        "    load()\n"
        "ModuleNotFoundError: No module named 'einops'\n"
        "subprocess.CalledProcessError: Command '['python']' returned non-zero exit status 1.\n"
    )
    assert classify(log, TABLE).class_ == "module_missing"


def test_a_traceback_that_a_supervisor_logs_as_information_is_a_failure() -> None:
    header = "2026-11-23T10:00:00,{} [INFO ] worker-1 MODEL_LOG - "
    lines = ["Traceback (most recent call last):", '  File "x.py", line 3', "RuntimeError: CUDA error: out of memory"]
    log = "".join(f"{header.format(100 + number)}{line}\n" for number, line in enumerate(lines))
    assert classify(log, TABLE).class_ == "cuda_oom"
    assert classify(f"{header.format(1)}RuntimeError: CUDA error: out of memory\n", TABLE).class_ == UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        'Capture begins. If you see "CUDA out of memory" here, try a smaller batch.',
        "Segments expand, so that CUDA out of memory is avoided.",
        "CUDA out of memory, retrying with half of the batch",
        "ERROR 11-23 10:00:00 [x.py:1] CUDA out of memory, retrying 1 of 2",
        '"value": "My build says: CUDA out of memory"',
    ],
)
def test_advice_and_what_is_tried_again_and_data_are_no_failure(line: str) -> None:
    assert classify(f"{line}\nKeyError: 'text'\n", TABLE).class_ == UNKNOWN


def test_what_stands_above_the_end_of_the_work_is_no_failure() -> None:
    log = "RuntimeError: CUDA error: out of memory\n{'train_runtime': 431.1, 'epoch': 1.0}\n"
    assert classify(log, TABLE).class_ == UNKNOWN
    assert classify(f"{log}OSError: [Errno 28] No space left on device\n", TABLE).class_ == "disk_full"


@pytest.mark.parametrize(
    "header",
    [
        "2026-11-23T10:00:00.123456789+00:00 stderr F ",
        "Nov 23 10:00:00 host docker[123]: ",
        "3: ",
        "[1,0]<stderr>:",
        "(pid=77) ",
        "[pod/vllm-0/vllm] ",
        "[2026-11-23 10:00:00 TP0] ",
        "2026-11-23 10:00:00,123 ERROR ",
    ],
)
def test_who_wrote_a_line_and_when_is_no_part_of_it(header: str) -> None:
    log = f"{header}Traceback (most recent call last):\n{header}ModuleNotFoundError: No module named 'einops'\n"
    found = classify(log, TABLE)
    assert (found.class_, found.line) == ("module_missing", "ModuleNotFoundError: No module named 'einops'")


def test_what_a_log_gets_over_is_no_failure() -> None:
    log = "ERROR: No matching distribution found for absl-py==2.5.1\nSuccessfully installed absl-py-2.5.1\n"
    assert classify(log, TABLE).class_ == UNKNOWN
    assert classify(f"{log}ERROR: No matching distribution found for torch==9\n", TABLE).class_ == "package_not_found"


def test_an_entry_with_a_context_counts_where_the_log_shows_it() -> None:
    table = (Signature("^Killed$", "build_oom", "memory", "fewer jobs", "here", context="nvcc"),)
    assert classify("nvcc -c a.cu\nKilled\n", table).class_ == "build_oom"
    assert classify("Killed\n", table).class_ == UNKNOWN


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("out of memory", ("out of memory",)),
        (r"free memory \(\d+\) on|CUDA (?:x|y)", ("free memory (", "CUDA ")),
        (r"(?:one|other) x", ("one", "other")),
        (r"(?:one)?abc+d{2}efgh", ("efgh",)),
        (r"(?<!Local)EntryNotFound[abc]def", ("EntryNotFound",)),
        (r"\d+", ("",)),
    ],
)
def test_the_literals_of_a_pattern_are_in_all_that_it_matches(pattern: str, literals: tuple[str, ...]) -> None:
    assert required_literals(pattern) == literals


def test_the_patterns_that_a_text_may_match_are_those_with_a_literal_in_it() -> None:
    assert possible(["out of memory", "(?:full|disk) x", "ab"], "CUDA out of memory") == {"out of memory", "ab"}
    assert possible(["out of memory"], "") == set()


@pytest.mark.parametrize(
    "lines",
    [
        [entry.example.replace("e", "e ", 1)[:-1] for entry in TABLE],
        [literal for entry in TABLE for literal in required_literals(entry.pattern)],
        ["".join(literal * 3 for entry in TABLE for literal in required_literals(entry.pattern)) * 9],
        ["a " * 400_000],
        ["ERROR: " * 300],
        ["x.y." * 100 + ":"],
        ["free memory on device" * 50_000],
        ["x"],
    ],
    ids=["near misses", "literals", "one line of them", "one line", "levels", "dots", "one literal", "short lines"],
)
def test_a_hostile_log_takes_seconds_at_most(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    log = (text * (TAIL_BYTES // len(text) + 1))[:TAIL_BYTES]
    started = time.process_time()
    classify(log, [replace(entry, context="never there") for entry in TABLE])
    assert time.process_time() - started < 5  # about 2 on a slow core


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("failures: {}", "list"),
        ("other: []", "failures"),
        ("failures: [{pattern: '(', class: a, cause: b, fix: c, source: d}]", "regular expression"),
        ("failures: [{pattern: long, class: a, cause: b, fix: c}]", "source"),
        ("failures: [{pattern: long, class: a, cause: b, fix: c, source: d, phase: lunch}]", "lunch"),
        ("failures: [{pattern: long|x., class: a, cause: b, fix: c, source: d}]", f"{LEAST_LITERAL} plain characters"),
        (
            "failures: [{pattern: long, class: a, cause: b, fix: c, source: d, unless_later: x.}]",
            f"{LEAST_LITERAL} plain characters",
        ),
        (
            "failures: [{pattern: long, class: a, cause: b, fix: c, source: d, context: '('}]",
            "context is not a regular",
        ),
    ],
)
def test_a_bad_table_is_an_error_that_names_the_file_and_the_fault(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "failures.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=fault) as error:
        load_signatures(path)
    assert "failures.yaml" in str(error.value)
