"""compose.yaml, made from the catalogue and the Docker launcher's own settings: `python -m images.compose`.

--check writes nothing, and says whether the file is what would be written.
"""

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from images.install import JOBS_VARIABLE
from pipeline.catalog import IMAGES, load_catalog
from pipeline.entries import Image, Variant
from pipeline.files import write_atomically
from pipeline.host.docker.build import BASE_PREFIX, BUILD_BASE_PREFIX, by_variant_name
from pipeline.host.docker.container import Bind, ContainerSpec
from pipeline.host.docker.engine import settings
from pipeline.host.docker.images import DOCKERFILE, alias, build_arguments

PATH = IMAGES.parent / "compose.yaml"
MAKER = "transformers", "cpu"
"""The image and its variant that `prepare` is a service of: what fetches and converts the default model."""

TOP = """\
# Made from images/*/image.yaml by `make lock`; do not edit.
#
# One service per image and variant, for use without the orchestrator:
#
#   mkdir -p cache results
#   docker compose build transformers-cpu vllm-cpu
#   docker compose run --rm prepare
#   docker compose run --rm vllm-cpu --experiment vllm --gpu cpu --dataset sample --docs 4
#
# The hardening is the orchestrator's. BENCHMARK_USER: "uid:gid" of whom the results belong to. HF_TOKEN_FILE: a file
# with the Hub's token, for gated models. BENCHMARK_BASE_<VARIANT>, BENCHMARK_BUILD_BASE_<VARIANT>: other bases, such as
# a mirror's.
"""
PREPARING = "# What fills the cache: with a network, and with nothing of the results."


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 where --check finds another file than would be written."""
    parser = argparse.ArgumentParser(prog="python -m images.compose", description="Write compose.yaml.")
    parser.add_argument("--check", action="store_true", help="write nothing; is the file what would be written?")
    options = parser.parse_args(arguments)
    text = render(load_catalog().images)
    if not options.check:
        write_atomically(PATH, text)
    elif PATH.read_text(encoding="utf-8") != text:
        print(f"error: {PATH.name} is outdated; run `make lock`", file=sys.stderr)
        return 1
    return 0


def render(images: Mapping[str, Image]) -> str:
    """The whole file. A variant without a base has no service; an image that provides no backend only prepares."""
    services = {
        f"{image.name}-{variant.name}": _service(image, variant)
        for image in images.values()
        for variant in image.variants
        if variant.base is not None
    }
    maker, variant_name = MAKER
    [variant] = [variant for variant in images[maker].variants if variant.name == variant_name]
    prepare = _block("<<: *preparing", {"image": alias(images[maker], variant)})
    return "\n".join([
        TOP,
        "x-hardened: &hardened", _indented(_yaml(_hardened())),
        PREPARING,
        "x-preparing: &preparing", _indented(_block("<<: *hardened", _preparing())),
        "x-gpu: &gpu", _indented(_yaml(_gpu())),
        "services:", "",
        *(f"  {name}:\n{_indented(text, 4)}" for name, text in services.items()),
        f"  prepare:\n{_indented(prepare, 4)}",
    ]).rstrip() + "\n"  # fmt: skip


def _service(image: Image, variant: Variant) -> str:
    common = "hardened" if image.provides else "preparing"
    merged = f"<<: *{common}" + ("\ndeploy: *gpu" if variant.device == "cuda" else "")
    dockerfile = DOCKERFILE.relative_to(PATH.parent).as_posix()
    build = {"context": ".", "dockerfile": dockerfile, "args": _arguments(image, variant)}
    return _block(merged, {"image": alias(image, variant), "build": build})


def _arguments(image: Image, variant: Variant) -> Mapping[str, str]:
    """The build's arguments, those that the user's environment may replace as Compose writes that."""
    arguments = dict(build_arguments(image, variant))
    for argument, prefix in (("BASE", BASE_PREFIX), ("BUILD_BASE", BUILD_BASE_PREFIX)):
        if argument in arguments:
            arguments[argument] = _replaceable(by_variant_name(prefix, variant.name), arguments[argument])
    if variant.build_packages:
        # quoted, since the user's own values may hold spaces
        words = [f"'{name}={_replaceable(name, value)}'" for name, value in image.build_environment.items()]
        arguments |= {"BUILD_ENVIRONMENT": " ".join(words), JOBS_VARIABLE: _replaceable(JOBS_VARIABLE, "")}
    return arguments


def _replaceable(variable: str, value: str) -> str:
    return f"${{{variable}:-{value}}}"


def _hardened() -> Mapping[str, Any]:
    """What the launcher gives every job's container, in Compose's words."""
    given = _launched(network=False)
    same = ("network_mode", "init", "read_only", "cap_drop", "security_opt", "pids_limit", "shm_size")
    log = given["log_config"]
    return {
        "user": "${BENCHMARK_USER:-1000:1000}",
        **{name: given[name] for name in same},
        "tmpfs": [f"{path}:{options}" for path, options in given["tmpfs"].items()],
        "logging": {"driver": log.type, "options": dict(log.config)},
        "volumes": _volumes(given),
    }


def _preparing() -> Mapping[str, Any]:
    given = _launched(network=True)
    token = {"type": "bind", "source": "${HF_TOKEN_FILE:-/dev/null}", "target": "/run/secrets/hf-token"}
    return {
        "command": ["--prepare"],
        "network_mode": given["network_mode"],
        "environment": {"HF_TOKEN_PATH": token["target"]},
        "volumes": [*_volumes(given), {**token, "read_only": True}],
    }


def _gpu() -> Mapping[str, Any]:
    """One GPU; which one is the engine's choice."""
    [request] = _launched(network=False)["device_requests"]
    device = {"driver": request.driver, "count": 1, "capabilities": request.capabilities[0]}
    return {"resources": {"reservations": {"devices": [device]}}}


def _launched(*, network: bool) -> Mapping[str, Any]:
    """The engine's settings for a container of the launcher's, on a machine whose folders are the checkout's."""
    binds = [Bind(Path("data"), "/data"), Bind(Path("cache"), "/cache", writable=network)]
    if not network:
        binds.append(Bind(Path("results"), "/results", writable=True))
    return settings(ContainerSpec("", [], binds, "", gpus=[], network=network))


def _volumes(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        {"type": mount["Type"], "source": f"./{mount['Source']}", "target": mount["Target"]}
        | ({"read_only": True} if mount["ReadOnly"] else {})
        for mount in given["mounts"]
    ]


def _block(first: str, content: Mapping[str, Any]) -> str:
    return f"{first}\n{_yaml(content)}"


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=2**16, allow_unicode=True)


def _indented(text: str, by: int = 2) -> str:
    return textwrap.indent(text, " " * by)


if __name__ == "__main__":
    sys.exit(main())
