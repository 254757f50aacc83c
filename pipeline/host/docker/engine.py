"""The Docker engine of this machine. The only module that imports the docker SDK."""

import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import docker
import requests
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, NotFound
from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils.socket import demux_adaptor, frames_iter

from pipeline.errors import BenchmarkError
from pipeline.host.docker.container import ContainerSpec

ANSWER_TIMEOUT_S = 60
PULL_TIMEOUT_S = 3600
LOST_PATIENCE_S = 60.0
SHUTDOWN_S = 3.0
TERMINATED = 128 + signal.SIGTERM
NANOSECONDS = 1e9

T = TypeVar("T")

_FAULTS = (DockerException, requests.exceptions.RequestException)


class EngineError(BenchmarkError):
    """The engine can't be reached, or refused what it was asked for; the message is the engine's own."""


class MissingError(EngineError):
    """The engine, or a registry, has no image or container of that name."""


@dataclass(frozen=True)
class EngineFacts:
    """What the engine says of itself.

    gpus: whether it can hand NVIDIA GPUs to containers. rootless: it runs as the user, whom containers see as root.
    data_root: the folder that holds its images; None where they lie elsewhere (in containerd's store).
    """

    architecture: str
    gpus: bool
    rootless: bool
    version: str | None = None
    data_root: str | None = None


@dataclass(frozen=True)
class LocalImage:
    """An image on this machine. digests: as registries know it, empty for one that was built here."""

    id: str
    labels: Mapping[str, str]
    digests: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What identifies it: a registry's digest, or the id of an image that never was in a registry."""
        return self.digests[0] if self.digests else self.id


class Engine:
    """A connection to the engine that the docker command would use: DOCKER_HOST, else the current context."""

    def __init__(self, address: str) -> None:
        """Raises EngineError with the mend where no engine answers, or one on another machine."""
        if not address.startswith("unix://"):
            raise EngineError(
                f"the Docker engine at {address} is not on this machine, so it can't mount this one's folders; "
                "run the command there, or unset DOCKER_HOST"
            )
        try:
            self._client = docker.DockerClient(base_url=address, timeout=ANSWER_TIMEOUT_S)
            self._client.ping()
        except _FAULTS as error:
            raise EngineError(f"no Docker engine answers at {address} ({_text(error)}); {_mend(error)}") from error
        self.address = address

    @classmethod
    def connect(cls) -> "Engine":
        """The engine of DOCKER_HOST or of the docker command's current context."""
        return cls(os.environ.get("DOCKER_HOST") or ContextAPI.get_current_context().Host)

    @cached_property
    def facts(self) -> EngineFacts:
        """Asked once."""
        with _speaking():
            info = self._client.info()
        devices = [device.get("ID", "") for device in info.get("DiscoveredDevices") or []]
        return EngineFacts(
            architecture=info.get("Architecture", platform.machine()),
            # Any of three ways will do: a runtime of its own, CDI, or the hook that --gpus looks for.
            gpus="nvidia" in (info.get("Runtimes") or {})
            or any(device.startswith("nvidia.com/gpu") for device in devices)
            or shutil.which("nvidia-container-runtime-hook") is not None,
            rootless="name=rootless" in (info.get("SecurityOptions") or []),
            version=info.get("ServerVersion"),
            data_root=None if _keeps_images_in_containerd(info) else info.get("DockerRootDir"),
        )

    def image(self, reference: str) -> LocalImage | None:
        """An image on this machine by name, digest or id; None where there is none."""
        try:
            with _speaking():
                found = self._client.images.get(reference)
        except MissingError:
            return None
        return LocalImage(found.id, found.labels, tuple(found.attrs.get("RepoDigests") or ()))

    def pull(self, reference: str) -> None:
        """Fetch an image, repository@digest, from its registry."""
        repository, _, digest = reference.partition("@")
        patient = docker.APIClient(base_url=self.address, timeout=PULL_TIMEOUT_S)
        with closing(patient), _speaking():
            for line in patient.pull(repository, tag=digest, stream=True, decode=True):
                if "error" in line:
                    raise EngineError(line["error"])

    def digest_in_registry(self, reference: str) -> str:
        """The digest that a registry has a name under now; nothing is fetched."""
        with _speaking():
            return str(self._client.images.get_registry_data(reference).id)

    def tag(self, reference: str, name: str) -> None:
        """Give an image another name, repository:tag."""
        repository, _, tag = name.rpartition(":")
        with _speaking():
            self._client.images.get(reference).tag(repository, tag=tag)

    @contextmanager
    def container(self, spec: ContainerSpec) -> Iterator["Container"]:
        """A container made and not started; removed at the end in any case.

        Unless the engine is gone by then and stays so: the next command's sweep removes it.
        """
        with _speaking():
            made = self._client.containers.create(**settings(spec))
        try:
            yield Container(made)
        finally:
            with suppress(EngineError):
                _patiently(lambda: self.remove(made.id))

    def labels_of_containers(self, label: str) -> dict[str, Mapping[str, str]]:
        """The labels of every container, running or not, that carries `label`, by the container's id."""
        with _speaking():
            found = self._client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return {made.id: made.labels for made in found}

    def logs(self, container_id: str) -> bytes:
        """All that a container has said so far."""
        with _speaking():
            text: bytes = self._client.containers.get(container_id).logs(stdout=True, stderr=True)
        return text

    def remove(self, container_id: str) -> None:
        """End and remove a container; one that is gone already is no error."""
        with suppress(MissingError), _speaking():
            self._client.containers.get(container_id).remove(force=True, v=True)


class Container:
    """A container that was made and not yet started. lost_touch: the engine was gone for a while since it started."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self._exited = threading.Event()
        self._code: int | None = None
        self._fault: EngineError | None = None
        self.lost_touch = False

    @property
    def id(self) -> str:
        """The engine's id of it."""
        return str(self._made.id)

    def start(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Start it; what it says on standard output and error, in pieces, from its first byte on."""
        with _speaking():
            # attached before it starts: one that ends at once would leave an attachment waiting
            connection = self._made.client.api.attach_socket(self.id, {"stdout": 1, "stderr": 1, "stream": 1})
            try:
                self._made.start()
            except BaseException:
                _close(connection)
                raise
        threading.Thread(target=self._watch, name="container", daemon=True).start()
        return _pieces(connection)

    def wait(self, timeout_s: float | None) -> int | None:
        """Its exit status; None if it still runs after timeout_s. Raises EngineError if the engine lost it."""
        if not self._exited.wait(timeout_s):
            return None
        if self._fault:
            raise self._fault
        return self._code

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after grace_s; returns when it has ended."""
        with _speaking():
            self._made.stop(timeout=int(grace_s))

    def kill(self) -> None:
        """SIGKILL; one that has ended already is no error."""
        with suppress(EngineError), _speaking():
            self._made.kill()

    def fate(self) -> str | None:
        """What its exit status doesn't tell: that memory ran out, or that the engine went down under it."""
        if self._code == TERMINATED:
            self._await_shutdown()
        _patiently(self._reload, self._note_lost_touch)
        if self._made.attrs["State"]["OOMKilled"]:
            return "killed for exceeding its memory limit"
        return "the Docker engine stopped while the job ran" if self.lost_touch else None

    def cpu_seconds(self) -> float | None:
        """Processor time of all its processes so far; None where the engine can't tell."""
        try:
            with _speaking():
                stats = self._made.client.api.stats(self.id, stream=False, one_shot=True)
        except EngineError:
            return None
        used: int | None = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
        return None if used is None else used / NANOSECONDS

    def _watch(self) -> None:
        """Wait on the engine, over its restarts: what keeps containers alive there must not end a job here."""
        try:
            self._code = _patiently(self._exit_status, self._note_lost_touch)
        except EngineError as error:
            self._fault = EngineError(f"the engine lost the container: {error}")
        finally:
            self._exited.set()

    def _exit_status(self) -> int:
        with _speaking():
            return int(self._made.wait(timeout=None)["StatusCode"])

    def _await_shutdown(self) -> None:
        """See whether the engine goes down: one that is asked to ends its containers first, and answers until then."""
        deadline = time.monotonic() + SHUTDOWN_S
        while not self.lost_touch and time.monotonic() < deadline:
            try:
                self._reload()
            except MissingError:
                return
            except EngineError:
                self._note_lost_touch()
            time.sleep(0.1)

    def _reload(self) -> None:
        with _speaking():
            self._made.reload()

    def _note_lost_touch(self) -> None:
        self.lost_touch = True


def _pieces(connection: Any) -> Iterator[tuple[bytes | None, bytes | None]]:
    """What an attachment says, until it ends; it is closed then, which the SDK's own stream never is."""
    try:
        for number, piece in frames_iter(connection, tty=False):
            yield demux_adaptor(number, piece)
    finally:
        _close(connection)


def _close(connection: Any) -> None:
    """Close an attachment: the answer that it was made of holds the socket, and each of them the other."""
    connection._response.close()


def _patiently(action: Callable[[], T], on_fault: Callable[[], None] = lambda: None) -> T:
    """The action's value, tried again while the engine does not answer, each time for LOST_PATIENCE_S at most."""
    deadline = 0.0
    while True:
        begun = time.monotonic()
        try:
            return action()
        except MissingError:
            raise
        except EngineError:
            on_fault()
            now = time.monotonic()
            if not deadline or now - begun > LOST_PATIENCE_S:  # the first fault, or one after it had answered again
                deadline = now + LOST_PATIENCE_S
            if now > deadline:
                raise
            time.sleep(1)


def settings(spec: ContainerSpec) -> dict[str, Any]:
    """The SDK's arguments: what the spec gives, and everything else kept from the container."""
    return {
        "image": spec.image,
        "command": list(spec.arguments),
        "environment": dict(spec.environment),
        "labels": dict(spec.labels),
        "user": spec.user,
        "mounts": [Mount(bind.target, str(bind.source), "bind", read_only=not bind.writable) for bind in spec.binds],
        "device_requests": [] if spec.gpus is None else [_gpu_request(spec.gpus)],
        "cpuset_cpus": ",".join(map(str, spec.cores)) or None,
        "network_mode": "bridge" if spec.network else "none",
        "read_only": True,
        # executable, since kernels are compiled to shared libraries there
        "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={spec.tmp_bytes}"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": spec.pids,
        "shm_size": spec.shm_bytes,
        # no swap: a job that swaps measures the disk
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        # reaps what the engine's processes leave, and hands signals on
        "init": True,
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": str(spec.log_bytes), "max-file": "1"}),
    }


def _gpu_request(uuids: Sequence[str]) -> DeviceRequest:
    capabilities = [["gpu", "compute", "utility"]]
    if uuids:
        return DeviceRequest(driver="nvidia", device_ids=list(uuids), capabilities=capabilities)
    return DeviceRequest(driver="nvidia", count=-1, capabilities=capabilities)


@contextmanager
def _speaking() -> Iterator[None]:
    """Turn the SDK's exceptions into EngineError with the engine's message."""
    try:
        yield
    except NotFound as error:
        raise MissingError(_text(error)) from error
    except requests.exceptions.ConnectionError as error:
        raise EngineError(f"no Docker engine answers any more ({_text(error)}); {_mend(error)}") from error
    except _FAULTS as error:
        raise EngineError(_text(error)) from error


def _keeps_images_in_containerd(info: Mapping[str, Any]) -> bool:
    return any("containerd" in str(value) for _, value in info.get("DriverStatus") or [])


def _text(error: BaseException) -> str:
    explanation = error.explanation if isinstance(error, APIError) else None
    return str(explanation or error).strip()


def _mend(error: BaseException) -> str:
    text = str(error)
    if "PermissionError" in text or "Permission denied" in text:
        return "join the docker group, or use --launcher process"
    return "start it (systemctl start docker), or use --launcher process"
