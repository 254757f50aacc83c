"""What the GPU does in an engine's decoding steps, by kind of kernel: where the time between a row and its limit goes.

Run after a run that has the experiments in `offline`, on the same machine, from the repository's root:
`.venv/bin/python -m benchmarks.step_profile results/RUN vllm vllm-fp8-kv8`. Each job's engine is loaded anew, in the
job's environment and with its settings, and given its prompts; its own profiler (PyTorch's) records some steps in the
middle, when all documents of a small run are being written. For vLLM. busy: the share of those steps' time in which at
least one kernel ran; a profiler slows the host down, so what is idle with it is idle no longer than that without.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import environment_of, newest_job
from pipeline import codec
from pipeline.errors import UsageError
from pipeline.files import read_json
from pipeline.spec import Job
from pipeline.worker.backends.vllm import adapter
from pipeline.worker.requests import build_requests
from pipeline.worker.runner import Roots, load_documents, make_setup, split_by_context
from pipeline.worker.surroundings import enter, read_surroundings

REPOSITORY = Path(__file__).parent.parent
KINDS = (
    ("cache writes", re.compile(r"reshape_and_cache")),
    ("attention", re.compile(r"flash|attention|attend|_merge|fmha|reduce_segments|BatchPrefill|BatchDecode", re.I)),
    ("linear layers", re.compile(r"gemm|cutlass|nvjet|marlin|cublas", re.I)),
    ("copies", re.compile(r"^Mem(cpy|set)", re.I)),
)
"""Of a kernel, by the first that its name fits; what fits none is small: norms, activations, quantisation, sampling."""
OTHER = "other kernels"
ON_THE_GPU = ("kernel", "gpu_memcpy", "gpu_memset")


def measure(job: Job, roots: Roots, after: int, steps: int) -> dict[str, Any]:
    """What `steps` steps came to, after so many, in this process: see summary."""
    if job.backend != "vllm":
        raise UsageError(f"{job.experiment}: only vLLM's engine is profiled, this is {job.backend}")
    from vllm import LLM, SamplingParams
    from vllm.inputs import tokens_input
    from vllm.sampling_params import RequestOutputKind

    documents = load_documents(job, roots)
    with tempfile.TemporaryDirectory() as traces:
        profiler = {
            "profiler": "torch",
            "torch_profiler_dir": traces,
            "torch_profiler_with_stack": False,
            "torch_profiler_dump_cuda_time_total": False,
            "ignore_frontend": True,
        }
        llm = LLM(**adapter.engine_arguments(make_setup(job, roots, documents)), profiler_config=profiler)
        engine = llm.llm_engine
        requests = list(build_requests(_Encoder(llm), documents, job.workload, job.model, full=True))
        fitting = list(split_by_context(requests, job)[0])
        for request in fitting:
            sampling = SamplingParams(
                temperature=0.0,
                max_tokens=request.max_new_tokens,
                ignore_eos=True,
                detokenize=False,
                output_kind=RequestOutputKind.DELTA,
            )
            engine.add_request(request.id, tokens_input(list(request.prompt_ids)), sampling)
        for _ in range(after):
            engine.step()
        llm.start_profile()
        sequences = [len(engine.step()) for _ in range(steps)]
        llm.stop_profile()
        events = [event for path in Path(traces).glob("*.json*") for event in _events(path)]
    return {"sequences": max(sequences), **summary(events, steps)}


class _Encoder:
    def __init__(self, llm: Any) -> None:
        self._llm = llm

    def encode(self, prompts: list[str]) -> list[list[int]]:
        tokenizer = self._llm.get_tokenizer()
        return [list(tokenizer.encode(prompt)) for prompt in prompts]


def summary(events: Iterable[Mapping[str, Any]], steps: int) -> dict[str, Any]:
    """Milliseconds a step: in all, with a kernel running, and of kernels by kind; and those that took the most.

    events: of a Chrome trace, times in microseconds; those that aren't the GPU's are left out.
    """
    work = sorted((event["ts"], event["dur"], event["name"]) for event in events if event.get("cat") in ON_THE_GPU)
    if not work:
        raise SystemExit("the trace has no kernel of a GPU")
    kinds: dict[str, float] = defaultdict(float)
    names: dict[str, float] = defaultdict(float)
    busy, until = 0.0, work[0][0]
    for start, duration, name in work:
        busy += max(0.0, start + duration - max(start, until))
        until = max(until, start + duration)
        kinds[_kind(name)] += duration
        names[name[:80]] += duration
    span = until - work[0][0]
    per_step = 1000.0 * steps
    largest = sorted(names.items(), key=lambda item: -item[1])[:8]
    return {
        "steps": steps,
        "step_ms": span / per_step,
        "busy": busy / span,
        "kinds_ms": {kind: total / per_step for kind, total in sorted(kinds.items(), key=lambda item: -item[1])},
        "kernels_ms": {name: total / per_step for name, total in largest},
    }


def _kind(name: str) -> str:
    return next((kind for kind, pattern in KINDS if pattern.search(name)), OTHER)


def _events(path: Path) -> list[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(json.loads(content)["traceEvents"])


def main() -> int:
    """Profile each named experiment of the run in its environment and print a line each; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--after", type=int, default=150, help="steps before the first that is recorded")
    parser.add_argument("--steps", type=int, default=12, help="steps that are recorded")
    for name in ("data", "cache"):
        parser.add_argument(f"--{name}", type=Path, default=REPOSITORY / name)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # how it calls itself inside an environment
    given = parser.parse_args()
    if given.job:
        enter(read_surroundings()[1], network=False)
        job = codec.decode(Job, read_json(given.job), str(given.job))
        found = measure(job, Roots(given.data, given.cache, given.run), given.after, given.steps)
        print("\n" + json.dumps(found), flush=True)
        return 0
    print(json.dumps({name: _profiled(given, name) for name in given.experiments}))
    return 0


def _profiled(given: argparse.Namespace, name: str) -> dict[str, Any]:
    path = newest_job(given.run, name)
    job = codec.decode(Job, read_json(path), str(path))
    python, environment = environment_of(job, given.cache)
    folders = ["--data", str(given.data), "--cache", str(given.cache)]
    asked = ["--after", str(given.after), "--steps", str(given.steps), "--job", str(path.resolve())]
    command = [str(python), "-m", "benchmarks.step_profile", str(given.run), name, *folders, *asked]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    kinds = ", ".join(f"{kind} {ms:.2f}" for kind, ms in found["kinds_ms"].items())
    print(f"{name:16} {found['step_ms']:6.2f} ms a step, busy {100 * found['busy']:.0f}%: {kinds} ms", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
