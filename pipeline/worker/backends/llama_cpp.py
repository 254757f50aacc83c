"""llama.cpp, through xllamacpp: llama.cpp's own server inside this process, asked over the loopback interface.

The binding's own calls speak the OpenAI format, which carries no token ids; the server's /completion does. It takes
many prompts in one request and streams the tokens of all of them. A workload is handed over in groups of prompts, two
of them at once as a rule, so that neither side holds all of it.
"""

import enum
import http.client
import json
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from pipeline.analysis import memory
from pipeline.entries import Attention, Sampling
from pipeline.machine import usable_cpus
from pipeline.worker.backend import Backend, Completion, MemoryUse, OnStep, Request, Settings, Setup
from pipeline.worker.backends.llama_cpp_streams import Stream, groups
from pipeline.worker.cuda_libraries import import_with_cuda
from pipeline.worker.telemetry import device_meter

xllamacpp = import_with_cuda("xllamacpp")

ALL_LAYERS = 9999
CONTEXT_STEP = 256  # llama.cpp rounds a slot's context up to a multiple of this
CACHE_BITS = {"f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5}
GROUP_OF_SLOTS = 8  # requests of a group, for each slot
LOG_WARNINGS = 2  # llama.cpp's verbosity that keeps errors and warnings


def create(setup: Setup) -> Backend:
    """The adapter for a GGUF file, not loaded yet.

    setup.options are fields of xllamacpp.CommonParams by name, nested where they nest (`cpuparams: {n_threads: 2}`);
    an enumeration's value goes by its last word (`flash_attn_type: disabled`). Raises ValueError for an unknown one.
    """
    return LlamaCpp(setup)


@dataclass
class _Output:
    """What a request has produced so far. reported: tokens that on_step was told. lost: ids are missing after `ids`."""

    request: Request
    ids: list[int] = field(default_factory=list)
    text: str = ""
    reported: int = 0
    lost: bool = False


class _Group:
    """Requests that were handed over together. outputs: of those not yielded yet, by index. left: not ended yet."""

    def __init__(self, requests: Sequence[Request], stream: Stream) -> None:
        self.outputs = dict(enumerate(map(_Output, requests)))
        self.left = len(requests)
        self.stream = stream


class LlamaCpp:
    """One server with setup.batch_size slots, each with room for setup.max_length tokens."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._params = _params(setup)
        self._server: Any = None
        self._busy_slots = 0
        self._cached_prompt_tokens = 0

    def load(self) -> None:
        """Raises RuntimeError where a GPU is asked for and this build of llama.cpp has none, or leaves it empty."""
        device = self._setup.device
        if device == "cuda":
            _require_gpu()
        with device_meter(device) as meter:
            self._server = xllamacpp.Server(self._params)
            if device == "cuda" and self._params.n_gpu_layers == ALL_LAYERS:  # unless the options ask for fewer
                check_offloaded(meter.used_bytes(), self.memory().weights_bytes or 0)

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts, as Backend.encode says."""
        return [self._tokenize(prompt, special=True) for prompt in prompts]

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """llama.cpp comes compiled."""
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        """One server request for each group of requests with the same limit: a server request has one limit.

        It has one seed too: the draws of its documents are the same numbers, each over its own probabilities.
        """
        unfinished = []
        for output in self._stream(groups(requests, GROUP_OF_SLOTS * self._params.n_parallel), on_step):
            if self._is_complete(output):
                yield self._completion(output)
            else:
                unfinished.append(output)
        for output in unfinished:
            self._finish(output, on_step)
            yield self._completion(output)

    def memory(self) -> MemoryUse:
        """The server tells the size of the weights' tensors; that of its KV cache follows from the model's shape."""
        return MemoryUse(
            weights_bytes=self._ask("/v1/models")["data"][0]["meta"]["size"],
            kv_cache_bytes=kv_cache_bytes(self._setup.attention, self._params),
        )

    def settings(self) -> Settings:
        """dtype is that of llama.cpp's activations, whatever the weights are stored in."""
        properties = self._ask("/props")
        params = self._params
        return Settings(
            dtype="float32",
            quantization=_file_type(properties["model_ftype"]),
            attention=f"flash_attn {_label(params.flash_attn_type)}",
            batch_size_used=self._busy_slots or None,
            engine_args={
                "xllamacpp": xllamacpp.__version__,
                "n_parallel": properties["total_slots"],
                "n_ctx_slot": properties["default_generation_settings"]["n_ctx"],
                "n_batch": params.n_batch,
                "n_ubatch": params.n_ubatch,
                "n_gpu_layers": params.n_gpu_layers,
                "n_threads": params.cpuparams.n_threads,
                "n_threads_batch": params.cpuparams_batch.n_threads,
                "cache_type_k": _label(params.cache_type_k),
                "cache_type_v": _label(params.cache_type_v),
                "kv_unified": params.kv_unified,
                "system_info": xllamacpp.get_system_info().strip(),
            },
            cached_prompt_tokens=self._cached_prompt_tokens,
        )

    def close(self) -> None:
        """End the server and its threads."""
        self._server = None  # its destructor stops the engine and waits for its threads

    def _stream(self, coming: Iterator[list[Request]], on_step: OnStep | None) -> Iterator[_Output]:
        """Run the requests, a few groups at once; yield each when llama.cpp has ended it or its last id is in eos_ids.

        The next group is handed over while all slots could still be filled from those before, so that none is ever idle
        for want of a request.
        """
        under_way: dict[int, _Group] = {}
        chunks: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        numbers, running = count(), set[tuple[int, int]]()
        try:
            while True:
                while sum(group.left for group in under_way.values()) <= 2 * self._params.n_parallel:
                    requests = next(coming, None)
                    if requests is None:
                        break
                    number = next(numbers)
                    stream = Stream(partial(self._post, "/completion", self._body_of(requests)), number, chunks)
                    under_way[number] = _Group(requests, stream)
                if not under_way:
                    return
                number, chunk = chunks.get()
                if number not in under_way:
                    continue  # how the stream of a finished group ended
                if isinstance(chunk, Exception):
                    raise chunk
                group = under_way[number]
                index = chunk["index"]
                running.add((number, index))
                self._busy_slots = max(self._busy_slots, len(running))
                if chunk["stop"]:
                    running.discard((number, index))
                    group.left -= 1
                    self._cached_prompt_tokens += chunk["timings"]["cache_n"]
                    if not group.left:
                        under_way.pop(number).stream.close()
                output = group.outputs.get(index)
                if output is None:
                    continue  # llama.cpp goes on after an id of eos_ids that it does not take for an end itself
                added = chunk["tokens_predicted"] - output.reported
                self._take(output, chunk, added)
                if on_step is not None and added:
                    on_step({output.request.id: added})
                if chunk["stop"] or self._is_complete(output):
                    del group.outputs[index]
                    yield output
        finally:
            for group in under_way.values():
                group.stream.close()

    def _body_of(self, requests: Sequence[Request]) -> dict[str, Any]:
        prompts = [list(request.prompt_ids) for request in requests]
        return {**self._body(prompts, requests[0].max_new_tokens, requests[0].seed), "stream": True}

    def _take(self, output: _Output, chunk: Mapping[str, Any], added: int) -> None:
        """Add a chunk of the stream to an output; `added`: tokens since the last chunk.

        llama.cpp streams no chunk for a token that ends inside a UTF-8 character, and so never tells its id. The
        character's chunk brings the text, from which the tokenizer makes them again; where it doesn't (a character
        cut off by the limit, or spelt in another way than the tokenizer would), the output is marked as lost there.
        """
        output.reported += added
        tokens, content = chunk["tokens"], chunk["content"]
        if not added or output.lost:
            return
        if added > len(tokens):
            spelt = self._tokenize(content, special=False)[-added:]
            output.lost = not tokens or len(spelt) < added or spelt[-1] != tokens[-1]
            tokens = spelt
        if not output.lost:
            output.ids += tokens
            output.text += content

    def _finish(self, output: _Output, on_step: OnStep | None) -> None:
        """Go on from the ids that are known, without streaming, which loses none.

        For outputs with lost ids, and for those that llama.cpp ended at an id outside setup.eos_ids: its own list
        of ids that end a text can't be changed, and no other engine would have ended there.
        """
        while not self._is_complete(output):
            prompt_ids = [*output.request.prompt_ids, *output.ids]
            budget = output.request.max_new_tokens - len(output.ids)
            # what was drawn up to here must not be drawn again
            seed = output.request.seed + len(output.ids)
            answer = self._ask("/completion", self._body(prompt_ids, budget, seed))
            if not answer["tokens"]:
                raise RuntimeError(f"llama.cpp generated nothing for {output.request.id} ({answer['stop_type']})")
            self._cached_prompt_tokens += answer["timings"]["cache_n"]
            output.ids += answer["tokens"]
            output.text += answer["content"]
            if on_step is not None and len(output.ids) > output.reported:
                on_step({output.request.id: len(output.ids) - output.reported})
            output.reported = max(output.reported, len(output.ids))

    def _is_complete(self, output: _Output) -> bool:
        ended = bool(output.ids) and output.ids[-1] in self._setup.eos_ids
        return ended or len(output.ids) >= output.request.max_new_tokens

    def _completion(self, output: _Output) -> Completion:
        ended = output.ids[-1] in self._setup.eos_ids
        return Completion(output.request.id, output.text, tuple(output.ids), "stop" if ended else "length")

    def _body(self, prompt: Sequence[Any], limit: int, seed: int) -> dict[str, Any]:
        return {
            "prompt": prompt,
            "n_predict": limit,
            **sampling_arguments(self._setup.sampling),
            "seed": seed,
            "cache_prompt": False,
            "return_tokens": True,
        }

    def _tokenize(self, text: str, special: bool) -> list[int]:
        answer = self._ask("/tokenize", {"content": text, "add_special": special, "parse_special": special})
        ids: list[int] = answer["tokens"]
        return ids

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        with self._post(path, body) as response:
            return json.load(response)

    @contextmanager
    def _post(
        self, path: str, body: Mapping[str, Any] | None, opened: Callable[[socket.socket], None] = lambda _: None
    ) -> Iterator[http.client.HTTPResponse]:
        """The server's answer to a POST, or to a GET where there is no body. Raises RuntimeError with its message.

        opened: is given the connection's socket before anything is asked.
        """
        headers = {"Authorization": f"Bearer {self._params.api_keys[0]}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(urlsplit(self._server.listening_address).netloc)
        try:
            connection.connect()
            opened(connection.sock)
            if body is None:
                connection.request("GET", path, headers=headers)
            else:
                connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise RuntimeError(f"llama.cpp: {path}: {response.read().decode(errors='replace')}")
            yield response
        finally:
            connection.close()  # ends what is still running of the request


def sampling_arguments(sampling: Sampling) -> dict[str, Any]:
    """What a request says of it. samplers: what stands between the logits and the draw, in order; no penalty does.

    llama.cpp's own order has the temperature last; here it comes first, as in other engines, so that top_p counts the
    probabilities that are drawn from.
    """
    if sampling.strategy == "greedy":
        return {"temperature": 0, "top_k": 1, "samplers": ["top_k"]}
    given = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    asked = {name: value for name, value in given.items() if value is not None}
    return {**asked, "samplers": list(asked)}


def _require_gpu() -> None:
    """Not to be called later: xllamacpp's answer leaves ggml's log unfiltered, which has a line for each step."""
    devices = xllamacpp.get_device_info()
    gpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU
    if not any(device["type"] == gpu for device in devices):
        names = ", ".join(device["name"] for device in devices)
        raise RuntimeError(f"llama.cpp finds no GPU (only {names}): no CUDA build of xllamacpp, or no driver")


def check_offloaded(risen_bytes: int | None, weights_bytes: int) -> None:
    """RuntimeError where the GPU's used memory rose by far less than the weights in loading: no silent fall-back.

    Half of them will do, since llama.cpp keeps the input embeddings in main memory. risen_bytes: None if unknown.
    """
    if risen_bytes is not None and risen_bytes < weights_bytes / 2:
        raise RuntimeError(
            "llama.cpp runs on cpu here, cuda was asked for: "
            f"loading {weights_bytes} bytes of weights took {risen_bytes} bytes of the GPU's memory"
        )


def kv_cache_bytes(attention: Attention | None, params: Any) -> int | None:
    """What llama.cpp reserves for keys and values, as it logs it: for each slot all of its context.

    A layer with a window gets room for that and for the tokens of one pass (n_ubatch) on top. None where the model's
    shape isn't known, the values are of a type that isn't in CACHE_BITS, or options give such layers another size.
    """
    kinds = [_label(kind) for kind in (params.cache_type_k, params.cache_type_v)]
    if attention is None or not CACHE_BITS.keys() >= set(kinds):
        return None
    if attention.windowed_layers and (params.swa_full or params.kv_unified):
        return None
    bits = [CACHE_BITS[kind] for kind in kinds]
    window = _context_of(attention.window + params.n_ubatch)
    slots: int = params.n_parallel
    slot_bytes = memory.kv_cache_bytes(replace(attention, window=window), params.n_ctx // slots, sum(bits) / 2)
    return slots * slot_bytes


def _context_of(tokens: int) -> int:
    return -(-tokens // CONTEXT_STEP) * CONTEXT_STEP


def _params(setup: Setup) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(setup.weights)
    params.n_parallel = setup.batch_size or 1
    params.n_ctx = params.n_parallel * _context_of(setup.max_length)
    params.n_gpu_layers = ALL_LAYERS if setup.device == "cuda" else 0
    params.no_op_offload = setup.device == "cpu"
    params.fit_params = False  # what does not fit must fail, not shrink silently
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cpus()
    # nothing is kept from one request for the next
    params.cache_ram_mib = params.n_ctx_checkpoints = 0
    params.cache_prompt = params.cache_idle_slots = False
    params.verbosity = LOG_WARNINGS
    params.api_keys = [secrets.token_urlsafe()]  # nobody else on this machine is to ask this server
    params.ui = False  # pages for a browser, which need no key
    # The server tries a chat template out as it starts. The file's own is a program by whoever made the file.
    params.chat_template, params.use_jinja = "chatml", False
    _apply(params, setup.options, "options")
    return params


def _apply(target: Any, options: Mapping[str, Any], where: str) -> None:
    for name, value in options.items():
        if name.startswith("_") or not hasattr(target, name):
            raise ValueError(f"{where}: llama.cpp (xllamacpp) has no setting {name!r}")
        current = getattr(target, name)
        if isinstance(value, Mapping):
            _apply(current, value, f"{where}.{name}")
        elif isinstance(current, enum.IntEnum):
            setattr(target, name, _member(type(current), value, f"{where}.{name}"))
        else:
            setattr(target, name, value)


def _member(kind: type[enum.IntEnum], value: Any, where: str) -> enum.IntEnum:
    for member in kind:
        if _label(member) == str(value).lower():
            return member
    raise ValueError(f"{where}: {value!r} is none of {', '.join(map(_label, kind))}")


def _label(member: enum.IntEnum) -> str:
    """The part of an enumeration's name that tells its members apart: LLAMA_FLASH_ATTN_TYPE_AUTO is auto."""
    return member.name.partition("_TYPE_")[2].lower() or member.name.rpartition("_")[2].lower()


def _file_type(name: str) -> str:
    """llama.cpp's name of a file's quantisation as files are named after it: "Q4_K - Medium" is Q4_K_M."""
    base, _, size = name.partition(" - ")
    return f"{base}_{size[0]}" if size else base
