"""vLLM's own speed beside what its jobs measured: `vllm.LLM.generate`, with no pipeline around it.

Run after a run that has the experiments in `offline`, on the same machine, from the repository's root:
`.venv/bin/python -m benchmarks.bare_engine results/RUN vllm vllm-awq`. Each job's engine is loaded anew, in the job's
environment and with its settings, and given its prompts; nothing watches it: no token callbacks, no telemetry, no
adapter. ratio: the job's documents a second over the bare engine's, each over all its repeats. 1.00 means that the
pipeline costs nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import environment_of, newest_job
from pipeline import codec
from pipeline.files import read_json
from pipeline.results import RESULT_FILE, read_result
from pipeline.spec import Job
from pipeline.worker.requests import build_requests, prompt_ids_sha256
from pipeline.worker.runner import Roots, load_documents, make_setup
from pipeline.worker.surroundings import enter, read_surroundings

REPOSITORY = Path(__file__).parent.parent


class Tokenizer:
    """What building a job's requests asks of an adapter, by the bare engine's tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, prompts: list[str]) -> list[list[int]]:
        """Token ids of each prompt."""
        return [list(self._tokenizer.encode(prompt)) for prompt in prompts]


def measure(job: Job, roots: Roots, repeats: int, expected_ids_sha256: str | None) -> dict[str, object]:
    """Seconds of each repeat, the documents and the tokens that came out, in this process.

    expected_ids_sha256: of the prompts that the job fed (Result.prompt_ids_sha256).
    """
    from vllm import LLM, SamplingParams
    from vllm.inputs import tokens_input

    from pipeline.worker.backends.vllm import engine_arguments, permit_amx

    documents = load_documents(job, roots)
    arguments = engine_arguments(make_setup(job, roots, documents))
    del arguments["worker_extension_cls"]
    if job.gpu.device == "cpu":
        permit_amx()
    llm = LLM(**arguments)
    requests = build_requests(Tokenizer(llm.get_tokenizer()), documents, job.workload, job.model)
    assert job.model is not None
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=job.workload.max_new_tokens,
        ignore_eos=True,
        stop_token_ids=[] if job.synthetic else list(job.model.eos_ids),
        detokenize=False,
    )
    fed = prompt_ids_sha256(requests)
    if fed != expected_ids_sha256:
        raise SystemExit(f"{job.experiment}: the bare engine's prompts are not the job's; is its dataset as it was?")
    prompts = [tokens_input(list(request.prompt_ids)) for request in requests]
    llm.generate(prompts, SamplingParams(temperature=0.0, max_tokens=8, ignore_eos=True), use_tqdm=False)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        seconds.append(time.perf_counter() - start)
    tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
    return {"repeats": seconds, "docs": len(outputs), "output_tokens": tokens}


def main() -> int:
    """Measure each named experiment of the run in its environment and print a line each; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("experiments", nargs="*", default=["vllm", "vllm-awq"])
    parser.add_argument("--repeats", type=int, default=3)
    for name in ("data", "cache"):
        parser.add_argument(f"--{name}", type=Path, default=REPOSITORY / name)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # how it calls itself inside an environment
    given = parser.parse_args()
    if given.job:
        enter(read_surroundings()[1], network=False)
        job = codec.decode(Job, read_json(given.job), str(given.job))
        fed = read_result(given.job.with_name(RESULT_FILE)).prompt_ids_sha256
        found = measure(job, Roots(given.data, given.cache, given.run), given.repeats, fed)
        print("\n" + json.dumps(found), flush=True)
        return 0
    lines = {name: _beside(given, name) for name in given.experiments}
    print(json.dumps(lines))
    return 0


def _beside(given: argparse.Namespace, name: str) -> dict[str, object]:
    """The job's figures and the bare engine's, and their ratio; printed too."""
    path = newest_job(given.run, name)
    job = codec.decode(Job, read_json(path), str(path))
    result = read_result(path.with_name(RESULT_FILE))
    assert result.metrics is not None and result.metrics.docs_per_s is not None
    python, environment = environment_of(job, given.cache)
    folders = ["--data", str(given.data), "--cache", str(given.cache), "--repeats", str(given.repeats)]
    command = [str(python), "-m", "benchmarks.bare_engine", str(given.run), *folders, "--job", str(path.resolve())]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    bare = json.loads(done.stdout.splitlines()[-1])
    bare_docs_per_s = bare["docs"] / statistics.mean(bare["repeats"])
    ratio = result.metrics.docs_per_s / bare_docs_per_s
    print(
        f"{name:14} job {result.metrics.docs_per_s:8.3f} docs/s  bare {bare_docs_per_s:8.3f} docs/s  ratio {ratio:.4f}",
        flush=True,
    )
    return {
        "job_docs_per_s": result.metrics.docs_per_s,
        "job_repeats_s": result.timing.repeats,
        "bare_docs_per_s": bare_docs_per_s,
        "bare_repeats_s": bare["repeats"],
        "bare_output_tokens": bare["output_tokens"],
        "ratio": ratio,
    }


if __name__ == "__main__":
    sys.exit(main())
