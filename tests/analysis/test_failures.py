"""Classes of failures, from messages as engines print them."""

import time
from pathlib import Path

import pytest

from pipeline.analysis.failures import (
    TAIL_BYTES,
    Signature,
    classify,
    clean,
    load_signatures,
    read_tail,
)
from pipeline.errors import UsageError

TABLE = load_signatures()

MESSAGES = [
    ("cuda_oom", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity"),
    ("cuda_oom", "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory"),
    ("kv_none", "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"),
    (
        "context_too_long",
        "ValueError: To serve at least one request with the model's max seq len (40960), (4.38 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (1.0 GiB).",
    ),
    (
        "gpu_mem_in_use",
        "ValueError: Free memory on device cuda:0 (13.33/22.07 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 19.86 GiB).",
    ),
    (
        "host_mem_in_use",
        "ValueError: Available memory on node 0 (3.1/7.7 GiB) on startup is less than desired CPU memory utilization "
        "(0.9, 6.9 GiB).",
    ),
    (
        "host_oom",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 2359296 bytes. Error code 12 (Cannot allocate memory)",
    ),
    ("buffer_oom", "llama_model_load: error loading model: unable to allocate backend buffer"),
    ("buffer_oom", "llama_model_load: error loading model: unable to allocate CUDA0 buffer"),
    ("bnb_model_too_big", "ValueError: Some modules are dispatched on the CPU or the disk. Make sure you have enough"),
    ("driver_too_old_geforce", "Error 804: forward compatibility was attempted on non supported HW"),
    ("driver_userspace_mismatch", "Error 803: system has unsupported display driver / cuda driver combination"),
    ("fabric_down", "Error 802: system not yet initialized"),
    ("arch_not_built", "RuntimeError: CUDA error: no kernel image is available for execution on the device"),
    ("gpu_not_passed", "RuntimeError: No CUDA GPUs are available"),
    ("gpu_not_passed", "RuntimeError: vLLM runs on no device here, cuda was asked for"),
    ("host_oom", "killed for exceeding its memory limit"),
    (
        "image_unavailable",
        f"image vllm (cpu): 127.0.0.1:5000/summarisation-benchmark/vllm@sha256:{'0' * 64} can't be pulled: manifest "
        "unknown; without --pull it is built",
    ),
    (
        "base_unreachable",
        'failed to create LLB definition: failed to do request: Head "https://registry.example/v2/library/python": '
        "dial tcp: lookup registry.example: no such host",
    ),
    ("toolkit_missing", 'could not select device driver "nvidia" with capabilities: [[gpu compute utility]]'),
    (
        "system_library_missing",
        "WARNING 11-23 07:00:22 [cpu.py:644] Failed to import from vllm._C: ImportError('libnuma.so.1: cannot open "
        "shared object file: No such file or directory')",
    ),
    ("gpu_not_passed", "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"),
    ("gpu_not_passed", "RuntimeError: Failed to infer device type, please set the environment variable"),
    (
        "driver_too_old",
        "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version\n"
        "RuntimeError: llama.cpp finds no GPU (only CPU): no CUDA build of xllamacpp, or no driver",
    ),
    ("gpu_not_passed", "RuntimeError: llama.cpp finds no GPU (only CPU): no CUDA build of xllamacpp, or no driver"),
    ("libcuda_missing", "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"),
    ("cuda_major_mismatch", "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory"),
    ("ptxas_old", "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"),
    ("gpu_busy", "RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable"),
    ("device_assert", "RuntimeError: CUDA error: device-side assert triggered"),
    ("cuda_illegal_access", "RuntimeError: CUDA error: an illegal memory access was encountered"),
    ("bf16_gpu", "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0."),
    ("no_cc", "RuntimeError: Failed to find C compiler. Please specify via CC environment variable."),
    (
        "quant_gpu",
        "ValueError: The quantization method awq is not supported for the current GPU. Minimum capability: 75. "
        "Current capability: 70.",
    ),
    ("quant_gpu", "RuntimeError: Quantization scheme is not supported for the current GPU."),
    ("quant_dtype", "ValueError: torch.bfloat16 is not supported for quantization method awq. Supported dtypes: [...]"),
    ("quant_arg_mismatch", "ValueError: Quantization method specified in the model config (awq) does not match"),
    ("bnb_int8_gpu", "ValueError: Your GPU does not support Int8 Matmul!"),
    ("bnb_int8_gpu", "Exception: cublasLt ran into an error!"),
    ("bnb_no_cuda_binary", "RuntimeError: Configured CUDA binary not found at libbitsandbytes_cuda130.so"),
    ("bnb_cuda_setup", "RuntimeError: CUDA Setup failed despite GPU being available."),
    ("bnb_unusable", "ImportError: Using `bitsandbytes` 4-bit quantization requires bitsandbytes: `pip install -U`"),
    ("fa_gpu", "RuntimeError: FlashAttention only supports Ampere GPUs or newer."),
    ("fa_torch_abi", "ImportError: flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so: undefined symbol: _ZN3c10"),
    ("fa_dtype", "RuntimeError: FlashAttention only support fp16 and bf16 data type"),
    (
        "fa_missing",
        "ImportError: FlashAttention2 has been toggled on, but it cannot be used due to the following error",
    ),
    ("torch_vision_mismatch", "RuntimeError: operator torchvision::nms does not exist"),
    ("vllm_transformers5", "AttributeError: GemmaTokenizer has no attribute all_special_tokens_extended"),
    ("transformers_too_old", "model type `gemma9` but Transformers does not recognize this architecture."),
    ("transformers_conflict", "ImportError: cannot import name 'Foo' from 'transformers.utils'"),
    (
        "hub_no_token",
        "401 Client Error. (Request ID: Root=1)\n\nCannot access gated repo for url https://huggingface.co/x",
    ),
    ("hub_not_granted", "Access to model x is restricted and you are not in the authorized list. Visit it to ask"),
    ("hub_rate_limited", "HTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/api"),
    (
        "hub_offline_miss",
        "LocalEntryNotFoundError: Cannot find the files in the cache and outgoing traffic has been disabled",
    ),
    ("weights_truncated", "SafetensorError: Error while deserializing header: MetadataIncompleteBuffer"),
    ("remote_code_required", "Please pass the argument `trust_remote_code=True` to allow custom code to be run."),
    ("pickle_blocked", "ValueError: Due to a serious vulnerability issue in `torch.load`, even with"),
    (
        "index_unreachable",
        "WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after connection "
        "broken by 'NewConnectionError: Failed to establish a new connection: [Errno 111] Connection refused'",
    ),
    (
        "hash_mismatch",
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package",
    ),
    ("package_not_found", "ERROR: No matching distribution found for torch==2.13.0+cpu"),
    ("disk_full", "OSError: [Errno 28] No space left on device"),
    ("readonly_path", "OSError: [Errno 30] Read-only file system: '/.cache'"),
    ("uid_no_passwd", "KeyError: 'getpwuid(): uid not found: 1234'"),
    (
        "arch_not_built",
        "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch",
    ),
    ("driver_too_old", "UserWarning: The NVIDIA driver on your system is too old (found version 11040)."),
    ("numpy_abi", "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.0.0"),
    ("disk_low", "UserWarning: Not enough free disk space to download the file. The expected file size is: 3945 MB."),
]


@pytest.mark.parametrize(("expected", "message"), MESSAGES)
def test_a_message_finds_its_class(expected: str, message: str) -> None:
    found = classify(f"loading\n{message}\n", TABLE)
    assert found.class_ == expected
    assert found.cause
    assert found.fix


def test_every_class_has_a_message_here() -> None:
    shown = {name for name, _ in MESSAGES} | {"host_killed", "wrapper"}
    assert {entry.class_ for entry in TABLE} == shown


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
        "gpu_mem_in_use",
        "host_mem_in_use",
        "gpu_busy",
        "hub_rate_limited",
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


def test_cleaning_keeps_indentation_below_an_engines_prefix() -> None:
    log = '(EngineCore pid=9) ERROR 08-28 07:39:28 [core.py:1346]   File "x.py", line 1\n(Worker pid=2)     raise\n'
    assert clean(log) == '  File "x.py", line 1\n    raise\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("failures: {}", "list"),
        ("other: []", "failures"),
        ("failures: [{pattern: '(', class: a, cause: b, fix: c, source: d}]", "regular expression"),
        ("failures: [{pattern: x, class: a, cause: b, fix: c}]", "source"),
        ("failures: [{pattern: x, class: a, cause: b, fix: c, source: d, phase: lunch}]", "lunch"),
    ],
)
def test_a_bad_table_is_an_error_that_names_the_file_and_the_fault(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "failures.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=fault) as error:
        load_signatures(path)
    assert "failures.yaml" in str(error.value)
