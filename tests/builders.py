"""Results as tests need them: whole and plausible, with the one thing that matters set."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.entries import Prompt
from pipeline.measures import Distribution, DocumentResult, Metrics, Quality, Timing, UsedSettings
from pipeline.report.build import Options, build
from pipeline.report.generated import gather
from pipeline.report.model import Report
from pipeline.report.published import read_published
from pipeline.report.stored import StoredJob, StoredRun, Texts
from pipeline.results import Environment, Failure, JobSummary, Result, Weights
from pipeline.spec import Workload

OPTIMIZATIONS = {
    "none": "none",
    "4-bit": "bitsandbytes 4-bit",
    "8-bit": "bitsandbytes 8-bit",
    "flash-attn": "FlashAttention-2",
    "vllm": "vLLM",
    "vllm-awq": "vLLM + AWQ",
    "gguf-q4": "llama.cpp, GGUF Q4_K_M",
    "lead-3": "first three sentences",
}


def make_workload(**overrides: Any) -> Workload:
    """The bundled sample, ten documents."""
    workload = Workload(
        dataset="howto_en",
        documents="sample/howto_en.jsonl",
        documents_sha256="d" * 64,
        docs=10,
        seed=0,
        prompt=Prompt("completion", "Article:\n{document}\n\nA summary:\n"),
        max_new_tokens=64,
    )
    return replace(workload, **overrides)


def make_result(experiment: str = "none", docs_per_s: float | None = 0.3, **overrides: Any) -> Result:
    """A Result that is ok, or what status=... says, with a failure where it is not.

    overrides: fields of any part by name (scenario, model, workload, dtype, rouge1_f1, docs, peak_memory_bytes,
    gpu_name, load_s, prompt_ids_sha256, warnings, ...); failure=Failure(...) and weights=Weights(...) whole.
    experiment="lead-3" is a reference line without a model. synthetic=True: on random weights, so without quality.
    """
    lead = experiment == "lead-3"
    parts: dict[str, Any] = {
        "job": JobSummary(
            key=(experiment.encode().hex() * 8)[:64].ljust(64, "0"),
            run="test",
            experiment=experiment,
            optimization=OPTIMIZATIONS.get(experiment, experiment),
            ranked=not lead,
            backend="lead" if lead else "transformers",
            model=None if lead else "gemma-3-270m",
            model_revision=None if lead else "1.0.0",
            gpu="cpu",
            image="reference" if lead else "transformers",
            variant="cpu",
            launcher="process",
            scenario="offline",
            launch=1,
            workload=make_workload(),
        ),
        "settings": UsedSettings(
            dtype=None if lead else "float32",
            attention=None if lead else "sdpa",
            batch_size_used=None if lead else 8,
            batch_size_asked=None if lead else 8,
        ),
        "environment": Environment(
            cpu="AMD EPYC 7B13",
            cpu_count=2,
            memory_bytes=8 * 1024**3,
            python="3.11.9",
            packages={"torch": "2.13.0", "transformers": "5.19.0"},
            host_os="Linux 6.8",
        ),
        "timing": Timing(load_s=0.01 if lead else 3.2, warmup_s=1.0, generate_s=33.3, score_s=0.2),
        "metrics": Metrics(
            docs=10,
            docs_per_s=docs_per_s,
            output_tokens_per_s=None if lead else 18.4,
            prompt_tokens_mean=None if lead else 515.4,
            output_tokens_mean=None if lead else 61.0,
            latency_s=Distribution(3.1, 3.0, 4.2, 4.9),
            ttft_s=None if lead else Distribution(0.5, 0.4, 0.9, 1.0),
            peak_memory_bytes=1_400_000_000,
            weights_bytes=None if lead else 1_072_392_704,
        ),
        "quality": Quality(0.15, 0.03, 0.11, 0.13, 48.0, 0, settings={"library": "rouge-score", "version": "0.1.2"}),
    }
    for name in list(overrides):
        for part, value in parts.items():
            if name in value.__dataclass_fields__ and name not in ("failure", "weights", "status", "warnings"):
                parts[part] = replace(value, **{name: overrides.pop(name)})
                break
    result = Result(
        status="ok",
        weights=None if lead else Weights(kind="real", sha256="a" * 64),
        prompt_ids_sha256=None if lead else "b" * 64,
        **parts,
    )
    if result.job.synthetic:
        result = replace(result, quality=None, weights=Weights(kind="synthetic", sha256="c" * 64))
    if overrides.get("status", "ok") != "ok":
        result = replace(result, metrics=None, quality=None, settings=UsedSettings(), timing=Timing(), weights=None)
        result = replace(result, prompt_ids_sha256=None, environment=Environment())
        result = replace(result, failure=_failure(overrides["status"]))
    return replace(result, **overrides)


def _failure(status: str) -> Failure:
    if status == "skipped":
        return Failure("needs_gpu", "plan", "needs a GPU; this machine has none", None)
    return Failure("cuda_oom", "generate", "CUDA out of memory. Tried to allocate 2.00 GiB", "a smaller --batch-size")


def make_documents(rouge1: Sequence[float], tokens: int = 60) -> tuple[DocumentResult, ...]:
    """As many documents as ROUGE-1 figures, each with a text of its own."""
    return tuple(
        DocumentResult(
            id=f"article-{number}",
            text=f"A summary of article {number}.",
            finish_reason="stop",
            output_tokens=tokens,
            latency_s=1.0 + number / 100,
            rouge1_f1=score,
            rouge2_f1=score / 3,
            rougeL_f1=score / 2,
            rougeLsum_f1=score / 1.5,
        )
        for number, score in enumerate(rouge1)
    )


def stored(result: Result, documents: Sequence[DocumentResult] = ()) -> StoredJob:
    """The result in a folder of its own, with a log where the job was started."""
    job = result.job
    folder = f"{job.run}/{job.experiment}.{job.launch}--{job.key[:8]}"
    generated = gather(documents, job.workload.docs) if documents else None
    return StoredJob(result, folder, has_log=result.status != "skipped", generated=generated)


def make_report(
    results: Sequence[Result | StoredJob], options: Options | None = None, texts: Texts | None = None, **run: Any
) -> Report:
    """The report over one run's results. run: its other fields."""
    jobs = tuple(item if isinstance(item, StoredJob) else stored(item) for item in results)
    runs = [StoredRun(name=run.pop("name", "test"), jobs=jobs, **run)]
    return build(runs, texts or {}, read_published(), options or Options(), "2026-11-23T12:00:00+00:00")
