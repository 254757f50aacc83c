"""Ray, as far as it is needed: a connection, the cluster's nodes, and tasks on them whose values come as they are made.

The one module that imports it, and only where a cluster is asked for.
"""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.cluster.nodes import Need, Node
from pipeline.plan import REPOSITORY

CARRIED = ("pipeline", "images", "data", ".dockerignore")
"""What nodes get of the repository: the code, the locks, and the bundled sample, which conversions are measured on."""
LEFT_OUT = ("/images/wheelhouse", "/data/prepared", "__pycache__")

PIECE_BYTES = 1 << 22
ENDING_S = 60.0
"""How long a task may take to end in good order: its launcher kills a job after 20 s."""
PERIOD_S = 0.2


class LostError(Exception):
    """A task's node, or Ray's process on it, is gone."""


@dataclass(frozen=True)
class Shared:
    """Bytes in Ray's object store, in pieces, which go to a node once and only when they are asked for."""

    pieces: tuple[Any, ...]


def fetch(shared: Shared) -> Iterator[bytes]:
    """The pieces, one after another; on a node or here."""
    import ray

    for piece in shared.pieces:
        yield ray.get(piece)


def this_node() -> str:
    """The id of the node that this task runs on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


class Cluster:
    """A connection to a running cluster; see connect."""

    def nodes(self) -> list[Node]:
        """Those that live, in a fixed order."""
        import ray

        known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        found = [Node(node["NodeID"], _name(node), dict(node["Resources"])) for node in known if node["Alive"]]
        return sorted(found, key=lambda node: (node.name, node.id))

    def share(self, pieces: Iterable[bytes]) -> Shared:
        """Put them into the object store."""
        import ray

        return Shared(tuple(ray.put(piece) for piece in pieces))

    def start(
        self, function: Callable[..., Iterator[Any]], *arguments: Any, need: Need, node: Node | None = None
    ) -> "Task":
        """Have a generator function of this package run on the node, or where Ray finds what it needs."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {
            "num_gpus": need.gpus,
            "num_cpus": need.cpus,
            "resources": dict(need.resources),
            "max_retries": 0,
            "num_returns": "streaming",
            "_generator_backpressure_num_objects": 16,
        }
        if need.accelerator is not None:
            options["accelerator_type"] = need.accelerator
        if node is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node.id, soft=False)
        return Task(ray.remote(function).options(**options).remote(*arguments))

    def ask(self, function: Callable[..., Iterator[Any]], *arguments: Any, node: Node) -> Any:
        """The one value of a generator function that takes nothing of the node that others could lack."""
        task = self.start(function, *arguments, need=Need(), node=node)
        values: list[Any] = []
        try:
            while not task.over:
                values += task.wait()
        except LostError as error:
            raise BenchmarkError(f"node {node.name} of the Ray cluster was lost while it was asked: {error}") from error
        except BaseException:
            task.end()
            raise
        [value] = values
        return value


class Task:
    """A generator that runs on a node. over: it has ended, and all that it made was taken."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self.over = False

    def wait(self, seconds: float = PERIOD_S) -> list[Any]:
        """The next value, or none where there is none within that time, or no more.

        Raises LostError, and BenchmarkError for what broke in the task or keeps it from running.
        """
        import ray
        from ray import exceptions

        try:
            if not ray.wait([self._generator], timeout=seconds, fetch_local=False)[0]:
                return []
            return [ray.get(next(self._generator))]
        except StopIteration:
            self.over = True
            return []
        except exceptions.RayTaskError as error:
            self.over = True
            cause = getattr(error, "cause", error)
            if isinstance(cause, BenchmarkError):
                raise cause from None
            raise BenchmarkError(f"on the node: {type(cause).__name__}: {_first_line(cause)}") from error
        except exceptions.OutOfMemoryError as error:
            self.over = True
            raise BenchmarkError(
                "Ray ended the job, since its node was short of memory; start the node with "
                f"RAY_memory_monitor_refresh_ms=0 to let the job itself find out ({_first_line(error)})"
            ) from error
        except (
            exceptions.NodeDiedError,
            exceptions.WorkerCrashedError,
            exceptions.LocalRayletDiedError,
            exceptions.ObjectLostError,
        ) as error:
            self.over = True
            raise LostError(_first_line(error)) from error
        except exceptions.RayError as error:
            self.over = True
            raise BenchmarkError(f"Ray: {_first_line(error)}") from error

    def end(self, at_once: Callable[[], bool] = lambda: False) -> None:
        """Interrupt it, and wait until it has closed everything; at_once: whether there is no time for that."""
        import ray

        if self.over:
            return
        ray.cancel(self._generator)
        deadline = time.monotonic() + ENDING_S
        with contextlib.suppress(LostError, BenchmarkError):  # that it was cancelled is one of these
            while not self.over and time.monotonic() < deadline and not at_once():
                self.wait()
        if not self.over:
            ray.cancel(self._generator, force=True)


def connect(address: str) -> Cluster:
    """Connect this process to the cluster at that address, auto for the one that this machine is part of.

    Raises UsageError where there is none, or one of another Ray or Python.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--launcher ray: Ray is not installed here; install the version that pyproject.toml names"
        ) from error
    if "://" in address:
        raise UsageError(
            f"--ray-address {address}: Ray's client and job addresses carry no live progress; run the command on a "
            "machine of the cluster, or as a Ray job there, with HOST:PORT or auto"
        )
    if ray.is_initialized():
        return Cluster()
    from ray._private import worker

    # Ray tells of lost nodes on standard output, which may be somebody's JSON; the notes of jobs tell of them too
    worker.print_to_stdstream = lambda data, ignore_prefix: None
    before = signal.getsignal(signal.SIGTERM)
    left = (f"/{path.name}" for path in Path(REPOSITORY).iterdir() if path.name not in CARRIED)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"working_dir": str(REPOSITORY), "excludes": [*left, *LEFT_OUT]},
        )
    except (ConnectionError, ValueError) as error:
        raise UsageError(
            f"--ray-address {address}: no Ray cluster answers ({_first_line(error)}); start one with "
            "`ray start --head`, or name a machine of it as HOST:PORT"
        ) from error
    except RuntimeError as error:
        raise UsageError(
            f"--ray-address {address}: {' '.join(str(error).split())}; run the command with the Python and the Ray of "
            "the cluster"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's would end the command without ending its jobs
    return Cluster()


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's content, as `share` takes it."""
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            yield piece


def _name(node: dict[str, Any]) -> str:
    given, address = node.get("NodeName"), node.get("NodeManagerAddress")
    host = node.get("NodeManagerHostname") or address
    return str(given if given and given != address else host)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
