"""Reports as the page's tests need them: whole, of plausible size, made by hand and by a seed, measured by nobody."""

import random
from collections.abc import Sequence
from dataclasses import replace

from pipeline.comparison.estimates import Difference, Estimate, Gate, GateCheck, Interval
from pipeline.entries import Prompt, Rates
from pipeline.measures import Distribution, Roofline
from pipeline.report.environments import Machine, Software
from pipeline.report.model import (
    Across,
    Document,
    Launch,
    MemorySplit,
    Note,
    Output,
    PublishedRow,
    Report,
    Row,
    Table,
    TimeSplit,
)
from pipeline.results import Failure
from pipeline.spec import Workload

GIB = 1024**3
LAUNCHES = 5
TEXT = """
open the lid and pour warm water over leaves until they cover base of pot then wait five minutes before you stir gently
with wooden spoon so nothing sticks to side keep heat low add salt only when broth begins clear use clean towel dry your
hands place paper flat on table fold each corner towards middle press firmly along edge
"""
WORDS = TEXT.split()

# experiment: optimisation, docs/s, ROUGE-1, weights in GiB, dtype, quantisation, batch size
RANKED = {
    "vllm-fp8": ("vLLM, FP8 weights and cache", 21.6, 0.2573, 6.9, "bfloat16", "fp8", "auto"),
    "vllm-awq": ("vLLM + AWQ", 15.8, 0.2551, 3.9, "float16", "awq", "auto"),
    "vllm": ("vLLM", 14.7, 0.2588, 13.1, "bfloat16", None, "auto"),
    "compiled": ("transformers, torch.compile", 6.62, 0.2579, 13.1, "bfloat16", None, 32),
    "flash-attn": ("FlashAttention-2", 2.31, 0.2581, 13.1, "bfloat16", None, 64),
    "none": ("none", 2.02, 0.2583, 13.1, "float16", None, 64),
    "8-bit": ("bitsandbytes 8-bit", 0.64, 0.2570, 7.3, "float16", "int8", 16),
}
BELOW = {"4-bit": ("bitsandbytes 4-bit", 1.71, 0.2467, 4.4, "float16", "nf4", 64)}


def make_report(docs: int = 100, hostile: str | None = None, seed: int = 0) -> Report:
    """Eight experiments and a reference line over so many documents, one failure and one skipped experiment.

    hostile: text that stands wherever documents, models, logs and machines have a say.
    """
    chance = random.Random(seed)
    rows = [_row(name, docs, chance) for name in RANKED]
    rows += [_below(docs, chance), _reference(docs), _failed(docs, hostile), _skipped(docs)]
    done = [row.experiment for row in rows if row.status == "ok"]
    table = Table(
        scenario="offline",
        model="llama-2-7b-chat",
        synthetic=False,
        gpu="h100",
        workload=_workload(docs, hostile),
        launcher="docker",
        runs=("h100-evening",),
        rows=tuple(rows),
        notes=(
            Note("8-bit: the second launch was 6% slower than the others; look for other load", warning=True),
            Note("dtype differs: vllm, vllm-fp8, compiled, flash-attn in bfloat16; none, 4-bit, 8-bit in float16"),
            *((Note(hostile, warning=True),) if hostile else ()),
        ),
        answer=_ANSWER,
        baseline="none",
        documents=tuple(_document(number, done, chance, hostile) for number in range(docs)),
    )
    machine = Machine(
        gpu_name=hostile or "NVIDIA H100 80GB HBM3", gpu_count=1, driver_version="580.65", cuda_version="13.0",
        cpu="Intel Xeon Platinum 8481C", cpu_count=16, memory_bytes=80 * GIB, host_os="Linux 6.8",
    )  # fmt: skip
    packages = {"torch": "2.11.0", "vllm": "0.22.0", "transformers": "5.17.0"}
    if hostile:
        packages[hostile] = hostile
    return Report(
        runs=("h100-evening",),
        labels=(hostile,) if hostile else (),
        commands=("python orchestrator.py --gpu h100 --all --launches 5 --docs 100",),
        created="2026-11-23T20:14:00+00:00",
        answer=_ANSWER,
        tables=(table,),
        across=(
            Across("vllm-awq", ("h100", "t4"), (_estimate(15.8), _estimate(0.54)), (0.2551, 0.2549), (0.06, 0.31)),
            Across("none", ("h100", "t4"), (_estimate(2.02), None), (0.2583, None), (0.47, None)),
        ),
        published=(
            PublishedRow(
                "vllm-awq", "a100", 100, 4.273, 0.234, "its own output file gives 0.2554", 4.61, 0.2549,
                ("ran on h100",),
            ),
            PublishedRow("none", "a100", 100, 0.317, 0.28, None, None, None, ()),
            PublishedRow("4-bit", "a100", 100, 0.206, 0.264, None, 0.198, 0.2632, ()),
        ),
        machines=(machine,),
        software=(Software(("vllm", "vllm-awq"), "vllm", "cu130", "docker", "3.12.4", None, packages),),
        price_per_hour=3.5,
        currency="USD",
    )  # fmt: skip


_ANSWER = (
    "On this GPU, vllm-fp8 summarises 21.6 documents a second, 10.7 times the baseline, at no measurable loss of "
    "quality; deepspeed ran out of memory."
)


def two_scenarios(report: Report) -> Report:
    """The same table once more as the other scenario, a report of two tables."""
    return replace(report, tables=(*report.tables, replace(report.tables[0], scenario="single")))


def on_random_weights(report: Report) -> Report:
    """Its rows as --weights synthetic would give them: with no scores but the reference line's, all of them ranked."""
    table = report.tables[0]
    rows = tuple(_unscored(row) if row.weights_kind else row for row in table.rows if row.standing != "below")
    documents = tuple(
        replace(one, outputs={name: replace(output, scores={}) for name, output in one.outputs.items()})
        for one in table.documents
    )
    table = replace(table, synthetic=True, rows=rows, documents=documents, answer=_SPEED_ONLY)
    return replace(report, tables=(table,), answer=_SPEED_ONLY, across=(), published=())


_SPEED_ONLY = "Speed only, on random weights: on h100, vllm-fp8 does 22 documents a second, 11 times the baseline."


def _unscored(row: Row) -> Row:
    return replace(
        row, scores={}, differences={}, gate=None, output_words_mean=None, empty_outputs=None, hit_limit=None,
        copied_outputs=None, coverage_mean=None, density_mean=None, repetition_mean=None, weights_kind="synthetic",
    )  # fmt: skip


def _estimate(value: float, spread: float = 0.015) -> Estimate:
    interval = Interval(value * (1 - spread), value * (1 + spread), 0.95, "t interval on the logarithm over launches")
    return Estimate(value, LAUNCHES, interval)


def _scores(docs: int, **means: float) -> dict[str, Estimate]:
    return {
        name: Estimate(mean, docs, Interval(mean - 0.012, mean + 0.012, 0.95, "bootstrap over documents"))
        for name, mean in means.items()
    }


def _workload(docs: int, hostile: str | None) -> Workload:
    return Workload(
        dataset="wikilingua_en", documents="prepared/wikilingua_en.jsonl", documents_sha256="d" * 64, docs=docs, seed=0,
        prompt=Prompt("instruction", (hostile or "") + "{document}\n\n\nSummarize the above text in 1-3 sentences."),
        max_new_tokens=300,
    )  # fmt: skip


def _row(experiment: str, docs: int, chance: random.Random) -> Row:
    optimization, speed, rouge1, weights, dtype, quantization, batch = {**RANKED, **BELOW}[experiment]
    assert batch == "auto" or isinstance(batch, int)
    baseline = RANKED["none"]
    generate_s = docs / speed
    pool = 50.0 if batch == "auto" else 0.5 * batch
    compile_s = 41.0 if batch == "auto" or experiment == "compiled" else None
    single = batch != "auto" and speed < 1
    return Row(
        experiment=experiment,
        optimization=optimization,
        gpu="h100",
        standing="ranked",
        below_because=None,
        status="ok",
        failure=None,
        launches=tuple(
            Launch(
                f"{number:064x}", number, "h100-evening", f"h100-evening/{experiment}.{number}--0000000{number}", "ok",
                speed * (1 + 0.012 * chance.uniform(-1, 1)), (generate_s, generate_s * 1.008, generate_s * 0.994), True,
            )
            for number in range(1, LAUNCHES + 1)
        ),
        docs_completed=docs,
        docs_asked=docs,
        docs_per_s=_estimate(speed),
        speed_ratio=_estimate(speed / baseline[1], 0.02) if experiment != "none" else None,
        shared_docs=docs if experiment != "none" else None,
        speed_detectable=0.97 if experiment != "none" else None,
        scores=_scores(docs, rouge1_f1=rouge1, rouge2_f1=0.071, rougeL_f1=0.174, rougeLsum_f1=0.201),
        differences={} if experiment == "none" else {
            "rouge1_f1": _difference("rouge1_f1", rouge1, baseline[2], 0.0021, docs),
            "output_tokens": _difference("output_tokens", 80.7, 81.2, 1.4, docs),
        },
        gate=None if experiment == "none" else Gate("pass", "ROUGE within 1% and length within 90-110%", ()),
        output_words_mean=61.4,
        prompt_tokens_mean=515.4,
        output_tokens_mean=81.2,
        output_tokens_per_s=speed * 81.2,
        empty_outputs=0,
        hit_limit=1,
        copied_outputs=0,
        coverage_mean=0.83,
        density_mean=3.1,
        repetition_mean=0.02,
        latency_s=Distribution(3.1, 3.0, 4.2, 4.9),
        ttft_s=Distribution(0.5, 0.4, 0.9, 1.0),
        tpot_s=Distribution(0.021, 0.02, 0.03, 0.04),
        time=TimeSplit(6.2, compile_s, 1.4, generate_s, 0.12 * generate_s, 0.85 * generate_s),
        memory=MemorySplit(
            int((weights + pool + 3.5) * GIB), int(weights * GIB), int(pool * GIB), int(2.1 * GIB), int(1.4 * GIB)
        ),
        energy_per_doc_j=None if single else 640 / speed,
        cost_per_1000=1000 / speed * 3.5 / 3600,
        roofline=Roofline(
            rates=Rates("listed", 3.35e12, 989e12), bound_s=0.4 * generate_s, prefill_s=0.05 * generate_s,
            decode_s=0.35 * generate_s, weights_s=0.1 * generate_s, kv_cache_s=0.25 * generate_s,
            arithmetic_s=0.05 * generate_s, step_weights_s=0.004, bound_by="kv_cache", fraction=0.4,
        ),
        roofline_measured=None,
        explanation=None,
        dtype=dtype,
        quantization=quantization,
        attention="sdpa" if batch != "auto" else None,
        batch_size=batch,
        weights_kind="real",
        prompt_ids_sha256="b" * 64,
    )  # fmt: skip


def _below(docs: int, chance: random.Random) -> Row:
    reason = "ROUGE-1 4.5% below none's, the margin is 1%"
    check = GateCheck("rouge1_f1", "fail", reason)
    return replace(
        _row("4-bit", docs, chance),
        standing="below",
        below_because=reason,
        gate=Gate("fail", reason, (check,)),
        explanation="4-bit weights are unpacked in every step, which costs more than reading fewer bytes saves",
    )


def _reference(docs: int) -> Row:
    bare = replace(
        _row("none", docs, random.Random(0)), experiment="lead-3", optimization="first three sentences", launches=()
    )
    return replace(
        bare, standing="reference", docs_per_s=None, scores=_scores(docs, rouge1_f1=0.2371), latency_s=None,
        ttft_s=None, tpot_s=None, time=TimeSplit(None, None, None, None, None, None),
        memory=MemorySplit(None, None, None, None, None), energy_per_doc_j=None, cost_per_1000=None, roofline=None,
        dtype=None, batch_size=None, attention=None, weights_kind=None, output_tokens_per_s=None,
    )  # fmt: skip


def _without_figures(experiment: str, optimization: str, docs: int) -> Row:
    return replace(
        _reference(docs), experiment=experiment, optimization=optimization, docs_completed=None, scores={},
        output_words_mean=None, prompt_tokens_mean=None, output_tokens_mean=None, empty_outputs=None, hit_limit=None,
        copied_outputs=None, coverage_mean=None, density_mean=None, repetition_mean=None, prompt_ids_sha256=None,
    )  # fmt: skip


def _failed(docs: int, hostile: str | None) -> Row:
    message = hostile or "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79.1 GiB of which 1.2 GiB is free."
    launch = Launch("c" * 64, 1, "h100-evening", "h100-evening/deepspeed--cccccccc", "failed", None, (), True)
    return replace(
        _without_figures("deepspeed", "DeepSpeed inference", docs), standing="failed", status="failed",
        failure=Failure("cuda_oom", "generate", message, hostile or "a smaller --batch-size, or --find-batch-size"),
        launches=(launch,),
    )  # fmt: skip


def _skipped(docs: int) -> Row:
    return replace(
        _without_figures("gguf-q4", "llama.cpp, GGUF Q4_K_M", docs), standing="skipped", status="skipped",
        failure=Failure("needs_weights", "plan", "no GGUF weights of llama-2-7b-chat are known", None),
    )  # fmt: skip


def _difference(score: str, value: float, base: float, half: float, docs: int) -> Difference:
    interval = Interval(value - base - half, value - base + half, 0.95, "bootstrap over documents")
    estimate = Estimate(value - base, docs, interval)
    return Difference(score, value, base, estimate, (value - base) / base, 0.31, 0.84, half * 1.4)


def _document(number: int, experiments: Sequence[str], chance: random.Random, hostile: str | None) -> Document:
    reference = _sentences(2, chance)
    return Document(
        id=f"wikilingua_en-{number}",
        document=hostile or _sentences(30, chance),
        reference=hostile or reference,
        outputs={name: _output(name, reference, chance, hostile) for name in experiments},
    )


def _output(experiment: str, reference: str, chance: random.Random, hostile: str | None) -> Output:
    speed = {**RANKED, **BELOW}.get(experiment, ("", 2000.0, 0))[1]
    ttft = chance.lognormvariate(0, 0.5) / speed
    tpot = chance.lognormvariate(0, 0.15) * 0.16 / speed
    score = min(0.9, max(0.02, chance.gauss(0.25, 0.08)))
    return Output(
        text=hostile or f"{_sentences(3, chance)} {' '.join(reference.split()[:5])}.",
        finish_reason="stop",
        output_tokens=81,
        latency_s=ttft + 80 * tpot,
        ttft_s=ttft,
        scores={"rouge1_f1": score, "rouge2_f1": score / 3, "rougeL_f1": score / 1.5},
        tpot_s=tpot,
    )


def _sentences(count: int, chance: random.Random) -> str:
    return " ".join(" ".join(chance.choices(WORDS, k=chance.randint(12, 24))).capitalize() + "." for _ in range(count))
