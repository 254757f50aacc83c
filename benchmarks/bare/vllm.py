"""vLLM by itself: `vllm.LLM.generate` over all prompts at once."""

from collections.abc import Sequence
from typing import Any

from pipeline.measures import UsedSettings
from pipeline.worker.backend import Request, Setup
from pipeline.worker.backends.vllm.adapter import engine_arguments, permit_amx


def create(setup: Setup, _used: UsedSettings) -> "BareVllm":
    """The engine, loaded."""
    return BareVllm(setup)


class BareVllm:
    """See BareEngine."""

    def __init__(self, setup: Setup) -> None:
        from vllm import LLM

        arguments = engine_arguments(setup)
        del arguments["worker_extension_cls"]
        if setup.device == "cpu":
            permit_amx()
        self._llm = LLM(**arguments)
        self._eos_ids = setup.eos_ids

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._llm.get_tokenizer()
        return [list(tokenizer.encode(prompt)) for prompt in prompts]

    def prepare(self, requests: Sequence[Request]) -> Any:
        """Prompts and one SamplingParams for all."""
        from vllm import SamplingParams
        from vllm.inputs import tokens_input

        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=requests[0].max_new_tokens,
            ignore_eos=True,
            stop_token_ids=[] if requests[0].full_length else list(self._eos_ids),
            detokenize=False,
        )
        return [tokens_input(list(request.prompt_ids)) for request in requests], sampling

    def generate(self, prepared: Any) -> Sequence[Sequence[int]]:
        prompts, sampling = prepared
        return [output.outputs[0].token_ids for output in self._llm.generate(prompts, sampling, use_tqdm=False)]
