"""A registry on this machine, and what tests push to it."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from pipeline.host.docker.images import alias, reference
from tests.containers.support import cannot_run, variant_of

STARTUP_S = 30
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIGURATION = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "{address}"}}
"""


@contextmanager
def open_registry(folder: Path) -> Iterator[str]:
    """The address of an empty registry on this machine, which keeps what is pushed in a folder until it ends."""
    program = shutil.which("docker-registry")
    if program is None:
        cannot_run("there is no docker-registry on this machine (apt-get install docker-registry)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder / "blobs", address=address))
    log = folder / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(process, port, log)
            yield address
        finally:
            process.terminate()
    shutil.rmtree(folder)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def push(client: docker.DockerClient, name: str, remote: str) -> str:
    """Push an image under another name, which is removed here again; what it is pulled by: repository@digest."""
    client.images.get(name).tag(remote)
    repository, _, tag = remote.rpartition(":")
    try:
        said = list(client.images.push(repository, tag=tag, stream=True, decode=True))
    finally:
        client.images.remove(remote, noprune=True)
    assert [line["error"] for line in said if "error" in line] == []
    digests = [line["aux"]["Digest"] for line in said if "Digest" in line.get("aux", {})]
    [digest] = digests
    return f"{repository}@{digest}"


@contextmanager
def absent(client: docker.DockerClient, image_name: str) -> Iterator[None]:
    """An image is not on this machine, under any name; afterwards it has its two names again, wherever it is from."""
    image, variant = variant_of(image_name)
    name, second = reference(image, variant), alias(image, variant)
    before = client.images.get(name).id
    client.images.remove(before, force=True, noprune=True)
    assert not [found for found in client.images.list(all=True) if found.id == before]
    try:
        yield
    finally:
        for found in client.images.list(name=name):
            found.tag(second)


def digest_of(by_digest: str) -> str:
    return by_digest.partition("@")[2]


def index_of(by_digest: str, registry: str) -> str:
    """Push an index over an image, as builds with attestations do: the image, and a manifest for no platform."""
    name, digest = by_digest.removeprefix(f"{registry}/").split("@")
    with urllib.request.urlopen(_manifest_request(registry, name, digest)) as answer:
        size = len(answer.read())
    described = {"mediaType": MANIFEST, "digest": digest, "size": size}
    platforms = [("amd64", "linux"), ("unknown", "unknown")]
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{**described, "platform": {"architecture": cpu, "os": system}} for cpu, system in platforms],
    }
    put = _manifest_request(registry, name, "index", json.dumps(index).encode())
    with urllib.request.urlopen(put) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def _manifest_request(registry: str, name: str, which: str, data: bytes | None = None) -> urllib.request.Request:
    headers = {"Accept": MANIFEST} if data is None else {"Content-Type": INDEX}
    url = f"http://{registry}/v2/{name}/manifests/{which}"
    return urllib.request.Request(url, data=data, headers=headers, method="GET" if data is None else "PUT")
