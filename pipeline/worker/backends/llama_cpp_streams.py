"""Answers of llama.cpp's server that are read as they come, several at the same time."""

import http.client
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import groupby, islice
from queue import SimpleQueue
from threading import Thread
from typing import Any

from pipeline.worker.backend import Request

Ask = Callable[[Callable[[socket.socket], None]], AbstractContextManager[http.client.HTTPResponse]]
"""Asks the server, and tells of its connection before it does."""


class Stream:
    """Reads an answer in a thread of its own, since others come at the same time.

    Its chunks go into the queue, with the number, and what broke it or an error for its end after them.
    """

    def __init__(self, ask: Ask, number: int, chunks: "SimpleQueue[tuple[int, Any]]") -> None:
        self._ask, self._number, self._chunks = ask, number, chunks
        self._socket: socket.socket | None = None
        self._closed = False
        self._thread = Thread(target=self._read, name=f"stream {number}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with self._ask(self._opened) as response:
                for chunk in events(response):
                    self._chunks.put((self._number, chunk))
            raise RuntimeError("llama.cpp ended an answer before its requests were finished")
        except Exception as error:  # whoever reads the queue raises it
            self._chunks.put((self._number, error))

    def _opened(self, connection: socket.socket) -> None:
        self._socket = connection
        if self._closed:
            self._shut()

    def _shut(self) -> None:
        with suppress(OSError):  # it is closed already
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and with it what is still running of the request."""
        self._closed = True
        self._shut()
        self._thread.join()


def groups(requests: Iterable[Request], most: int) -> Iterator[list[Request]]:
    """Runs of at most so many requests with the same limit of new tokens, taken as they are asked for."""
    for _limit, alike in groupby(requests, key=lambda request: request.max_new_tokens):
        while group := list(islice(alike, most)):
            yield group


def events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer. Raises RuntimeError for an error in their place."""
    for line in response:
        kind, _, data = line.decode().partition(": ")
        if kind == "error":
            raise RuntimeError(f"llama.cpp: {data.strip()}")
        if kind != "data":
            continue  # a keep-alive or the blank line after an event
        chunk = json.loads(data)
        if chunk is None:
            continue  # the server's sign that it has started
        if "error" in chunk:
            raise RuntimeError(f"llama.cpp: {chunk['error']['message']}")
        yield chunk
