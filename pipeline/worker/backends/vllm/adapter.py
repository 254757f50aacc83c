"""vLLM: continuous batching over a paged KV cache, driven step by step so that every engine step is seen."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, cast

from pipeline.entries import Sampling
from pipeline.errors import UsageError
from pipeline.worker.backend import Completion, MemoryUse, OnStep, Request, Settings, Setup

CLOSE_LIMIT_S = 30.0
LEAST_WAITING = 32


def create(setup: Setup) -> "VllmBackend":
    """The adapter, not loaded yet."""
    return VllmBackend(setup)


def engine_arguments(setup: Setup) -> dict[str, Any]:
    """Arguments of vllm.LLM: our defaults, replaced by the experiment's options.

    Raises UsageError for an option that decides whether rows can be compared; vLLM itself refuses unknown ones.
    """
    if setup.weights is None:
        raise UsageError("vllm needs a folder of weights")
    fixed: dict[str, Any] = {
        "model": str(setup.weights),
        "enable_prefix_caching": False,
        # the checkpoint's own sampling and end-of-sequence ids must not alter what all engines are asked to do
        "generation_config": "vllm",
        "trust_remote_code": False,
        "skip_tokenizer_init": False,
        # a name, since what it names can be imported inside vLLM alone
        "worker_extension_cls": "pipeline.worker.backends.vllm.worker.WorkerReport",
    }
    clash = sorted(fixed.keys() & setup.options.keys())
    if clash:
        raise UsageError(f"vllm: option {clash[0]!r} is the same for all experiments and can't be set")
    defaults: dict[str, Any] = {
        "max_model_len": setup.max_length,
        "dtype": setup.dtype,
        "seed": setup.seed,
        "load_format": "auto" if setup.allow_pickle else "safetensors",
        "disable_log_stats": True,
    }
    if setup.batch_size is not None:
        defaults["max_num_seqs"] = setup.batch_size
    return {**defaults, **setup.options, **fixed}


def sampling_arguments(sampling: Sampling, seed: int) -> dict[str, Any]:
    """What SamplingParams says of it. seed: of the request, so that no other's draws depend on it nor it on theirs."""
    if sampling.strategy == "greedy":
        return {"temperature": 0.0}
    top_p = 1.0 if sampling.top_p is None else sampling.top_p
    return {"temperature": sampling.temperature, "top_p": top_p, "top_k": sampling.top_k or 0, "seed": seed}


def window_of(max_num_seqs: int) -> int:
    """How many requests the engine is given at a time: as many are waiting as could all be started by its next step.

    So it starts what it would start if it had all of them. With few at once, the more wait for the time that it takes
    to hear of one that is finished.
    """
    return max_num_seqs + max(max_num_seqs, LEAST_WAITING)


def compile_seconds(config: Any) -> float | None:
    """What vLLM's CompilationConfig says that torch.compile took; None for a mode in which it doesn't count that."""
    if config.mode.name == "NONE":
        return 0.0
    if config.mode.name != "VLLM_COMPILE":
        return None
    return float(config.compilation_time + config.encoder_compilation_time)


def of_all_workers(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of what its workers, one a GPU, say: the first one's, with the memory of all."""
    together = {
        name: None if any(report[name] is None for report in reports) else sum(report[name] for report in reports)
        for name in ("weights_bytes", "kv_cache_bytes")
    }
    return {**reports[0], **together}


def permit_amx() -> None:
    """Ask the system for AMX's tiles, where the processor has them.

    vLLM's kernels for 4-bit weights use them wherever they are. In a process that hasn't asked, as oneDNN does at its
    first large product, the first such instruction ends it with SIGILL.
    """
    import torch

    torch.cpu._init_amx()


class VllmBackend:
    """vLLM's offline engine (see pipeline.worker.backend.Backend)."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._arguments = engine_arguments(setup)
        self._llm: Any = None
        self._report: Mapping[str, Any] = {}
        self._largest_step = 0
        self._steps = self._tokens = 0
        self._cached_prompt_tokens = 0

    def load(self) -> None:
        """Raises RuntimeError where vLLM was built for, or sees, another device than asked for."""
        from vllm import LLM
        from vllm.platforms import current_platform

        self._require_device(current_platform.device_type or "no device")
        if self._setup.device == "cpu":
            permit_amx()
        self._llm = LLM(**self._arguments)
        self._report = of_all_workers(self._llm.collective_rpc("report_use"))
        self._require_device(self._report["device"])

    def _require_device(self, found: str) -> None:
        if found != self._setup.device:
            raise RuntimeError(f"vLLM runs on {found} here, {self._setup.device} was asked for")

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._llm.get_tokenizer()
        return [list(tokenizer.encode(prompt)) for prompt in prompts]

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """vLLM compiles as it loads."""
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        """See Backend. A step that only read prompts added no token and is not reported."""
        from vllm.sampling_params import RequestOutputKind

        engine = self._llm.llm_engine
        # Both kinds hand over each id once: with every step, or all at the end, which costs least.
        kind = RequestOutputKind.FINAL_ONLY if on_step is None else RequestOutputKind.DELTA
        unfinished: dict[str, list[int]] = {}
        coming, window = iter(requests), window_of(engine.vllm_config.scheduler_config.max_num_seqs)
        try:
            while self._fill(unfinished, coming, window, kind):
                outputs = engine.step()
                if on_step is not None and outputs:
                    on_step({output.request_id: len(output.outputs[0].token_ids) for output in outputs})
                    self._note_step(outputs)
                for output in outputs:
                    unfinished[output.request_id].extend(output.outputs[0].token_ids)
                    if output.finished:
                        self._cached_prompt_tokens += output.num_cached_tokens or 0
                        ids = unfinished.pop(output.request_id)
                        yield self._completion(output.request_id, ids, output.outputs[0].finish_reason)
        finally:
            if unfinished:
                engine.abort_request(list(unfinished))

    def _note_step(self, outputs: Sequence[Any]) -> None:
        self._largest_step = max(self._largest_step, len(outputs))
        if self._setup.options.get("speculative_config"):
            self._steps += len(outputs)
            self._tokens += sum(len(output.outputs[0].token_ids) for output in outputs)

    def _fill(self, unfinished: dict[str, list[int]], coming: Iterator[Request], window: int, kind: Any) -> bool:
        """Give the engine requests up to the window; whether it has any."""
        from vllm.inputs import tokens_input

        for request in islice(coming, window - len(unfinished)):
            unfinished[request.id] = []
            given = tokens_input(list(request.prompt_ids))
            self._llm.llm_engine.add_request(request.id, given, self._parameters(request, kind))
        return bool(unfinished)

    def _parameters(self, request: Request, kind: Any) -> Any:
        from vllm import SamplingParams

        # ignore_eos drops the tokenizer's end id, so that stop_token_ids alone end a completion
        return SamplingParams(
            **sampling_arguments(self._setup.sampling, request.seed),
            max_tokens=request.max_new_tokens,
            ignore_eos=True,
            stop_token_ids=[] if request.full_length else list(self._setup.eos_ids),
            detokenize=False,
            output_kind=kind,
        )

    def _completion(self, request_id: str, ids: Sequence[int], reason: str) -> Completion:
        if reason not in ("stop", "length"):
            raise RuntimeError(f"vLLM ended request {request_id} with {reason!r}")
        text = self._llm.get_tokenizer().decode(list(ids), skip_special_tokens=True)
        return Completion(request_id, text, tuple(ids), cast(Literal["stop", "length"], reason))

    def memory(self) -> MemoryUse:
        """As the worker's tensors were once the model was loaded."""
        return MemoryUse(self._report["weights_bytes"], self._report["kv_cache_bytes"])

    def settings(self) -> Settings:
        """batch_size_used: the most requests that got a token in one step; None where no step was watched.

        tokens_per_step, with speculation: that a document got in a step in which it got any, the warm-up's included; 1
        without a right guess.
        """
        from vllm import __version__

        config = self._llm.llm_engine.vllm_config
        quantization = config.model_config.quantization
        return Settings(
            dtype=str(config.model_config.dtype).removeprefix("torch."),
            quantization=None if quantization is None else str(quantization),
            attention=self._report["attention"],
            batch_size_used=self._largest_step or None,
            engine_args={
                "version": __version__,
                "max_model_len": config.model_config.max_model_len,
                "max_num_seqs": config.scheduler_config.max_num_seqs,
                "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
                "async_scheduling": bool(config.scheduler_config.async_scheduling),
                "gpu_memory_utilization": config.cache_config.gpu_memory_utilization,
                "kv_cache_dtype": str(config.cache_config.cache_dtype),
                "block_size": config.cache_config.block_size,
                "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
                "enforce_eager": config.model_config.enforce_eager,
                "compilation_mode": config.compilation_config.mode.name,
                "enable_prefix_caching": config.cache_config.enable_prefix_caching,
                "cudagraph_mode": str(config.compilation_config.cudagraph_mode.name),
                **({"tokens_per_step": self._tokens / self._steps} if self._steps else {}),
            },
            compile_s=self._report["compile_s"],
            cached_prompt_tokens=self._cached_prompt_tokens,
        )

    def close(self) -> None:
        llm, self._llm = self._llm, None
        if llm is not None:
            # without a time limit vLLM kills its processes after 5 s, before they have cleaned up on a busy machine
            llm.llm_engine.engine_core.shutdown(timeout=CLOSE_LIMIT_S)
