"""From documents to what an engine is fed: prompts, their ids, and warm-up requests of the same shapes."""

import hashlib
import heapq
import itertools
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import overload

from pipeline.documents import Document
from pipeline.entries import Device
from pipeline.files import sha256_json, sum_of_sha256
from pipeline.lazy import Picked
from pipeline.spec import Job, JobModel, Workload
from pipeline.worker.backend import Backend, Request, Requests, prompt_lengths

WARMUP_NEW_TOKENS = 8
WARMUP_DOCUMENTS = 8
"""Warm-up documents where the engine batches by itself, at least."""
WARMUP_PROMPT_TOKENS = 16384
"""That their prompts have together on a GPU, where there are so many: what vLLM reads in a step at most on a large one.
With 8 documents the first repeat was up to 1.2 % slower than the next on an H200."""
MOST_WARMUP_DOCUMENTS = 1024
"""That fill a step, however short they are: no engine takes more documents into one unless it is told to."""
ENCODED_AT_ONCE = 100
"""Prompts, whose ids take some 40 bytes a token until they are stored."""
WARMUP = "warmup-"
"""What their ids begin with."""


def render_prompt(document: str, workload: Workload, model: JobModel | None) -> str:
    """The prompt's text. The template is filled by replacement, so braces in a document are just text."""
    prompt = workload.prompt.template.replace("{document}", document.strip())
    return f"{model.prompt_prefix}{prompt}{model.prompt_suffix}" if model else prompt


def max_length(documents: Iterable[Document], workload: Workload, model: JobModel | None) -> int:
    """An upper bound of prompt plus new tokens before a tokenizer is at hand: a token is at least one byte."""
    longest = max(len(render_prompt(document.document, workload, model).encode()) for document in documents)
    bound = 1 + longest + workload.max_new_tokens
    return min(bound, model.context_length) if model else bound


def build_requests(
    backend: Backend, documents: Iterable[Document], workload: Workload, model: JobModel | None, *, full: bool = False
) -> Iterator[Request]:
    """One request a document, in order, with the ids of the backend's own tokenizer behind exactly one BOS.

    The prompts are encoded ENCODED_AT_ONCE at a time, as the requests are taken. full: see Request.full_length.
    """
    left = iter(documents)
    while chunk := list(itertools.islice(left, ENCODED_AT_ONCE)):
        prompts = [render_prompt(document.document, workload, model) for document in chunk]
        encoded = backend.encode(prompts)
        all_ids = [with_one_bos(ids, model) for ids in encoded] if encoded is not None else [()] * len(prompts)
        for document, ids, prompt in zip(chunk, all_ids, prompts, strict=True):
            yield Request(document.id, document.document, ids, workload.max_new_tokens, sha256_text(prompt), full)


class Seeded(Requests):
    """The requests with seeds of their own, other ones in each repeat of the timed section (from 1) and each launch."""

    def __init__(self, requests: Sequence[Request], job: Job, repeat: int) -> None:
        self._requests = requests
        self._drawn = f"{job.workload.seed}:{job.launch}:{repeat}"
        self._prompt_lengths = prompt_lengths(requests)

    @property
    def prompt_lengths(self) -> "array[int]":
        return self._prompt_lengths

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        if isinstance(index, slice):
            return Picked(self, range(len(self))[index])
        request = self._requests[index]
        return replace(request, seed=_seed(f"{self._drawn}:{request.id}"))


def _seed(text: str) -> int:
    """Below 2^31, which every engine takes."""
    return int(sha256_text(text)[:8], 16) >> 1


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, as hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def with_one_bos(ids: Sequence[int], model: JobModel | None) -> tuple[int, ...]:
    """The ids behind exactly one beginning-of-sequence id, if the model has one.

    Tokenizers differ in whether they add it (a converted checkpoint's may not), and a model fed without it, or with
    two, writes measurably worse text, so no tokenizer's default is trusted.
    """
    if model is None or model.bos_id is None:
        return tuple(ids)
    start = 0
    while start < len(ids) and ids[start] == model.bos_id:
        start += 1
    return (model.bos_id, *ids[start:])


def prompt_ids_sha256(requests: Sequence[Request]) -> str | None:
    """Fingerprint of what the engine is fed; equal over all engines of a run. None where no model runs.

    The sum of what each request's id and prompt ids hash to, so that of a job's shards the sum is the job's.
    """
    if not any(prompt_lengths(requests)):
        return None
    return sum_of_sha256(sha256_json([request.id, request.prompt_ids]) for request in requests)


def warmup_count(lengths: Iterable[int], device: Device) -> int:
    """How many documents, the longest first, warm up an engine that batches by itself; there may be fewer.

    lengths: of the prompts, in tokens. On a CPU reading more would take as long as a good part of the work.
    """
    if device == "cpu":
        return WARMUP_DOCUMENTS
    read_before = itertools.accumulate(heapq.nlargest(MOST_WARMUP_DOCUMENTS, lengths), initial=0)
    return max(WARMUP_DOCUMENTS, sum(tokens < WARMUP_PROMPT_TOKENS for tokens in read_before))


def warmup_documents(documents: Sequence[Document], count: int, seed: int) -> list[Document]:
    """The longest documents with their words shuffled: the workload's shapes without its texts.

    So every dataset has a warm-up outside the workload, even one that is used whole.
    """
    longest = sorted(documents, key=lambda document: len(document.document), reverse=True)[:count]
    return [replace(document, id=WARMUP + document.id, document=_shuffled(document, seed)) for document in longest]


def _shuffled(document: Document, seed: int) -> str:
    words = document.document.split()
    random.Random(f"{seed}:{document.id}").shuffle(words)
    return " ".join(words)
