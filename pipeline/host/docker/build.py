"""Building images with BuildKit, through the docker command: the SDK has no BuildKit, and so no build secrets."""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images.install import JOBS_VARIABLE
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.docker.images import DOCKERFILE, alias, build_arguments, reference
from pipeline.host.docker.labels import labels, source_url
from pipeline.plan import REPOSITORY

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
BASE_PREFIX = "BENCHMARK_BASE_"
BUILD_BASE_PREFIX = "BENCHMARK_BUILD_BASE_"


@dataclass(frozen=True)
class BuildOptions:
    """bases, build_bases: the images to build over, by variant's name, instead of image.yaml's (a mirror's copy, say).

    ca: a bundle of CA certificates, for networks whose proxy speaks for everybody. pip_config: a pip configuration
    that names a mirror. Both are secrets of the build: in no layer, and no part of what decides a rebuild.
    """

    bases: Mapping[str, str] = field(default_factory=dict)
    build_bases: Mapping[str, str] = field(default_factory=dict)
    ca: Path | None = None
    pip_config: Path | None = None

    @classmethod
    def from_environment(cls, variants: Collection[str], environment: Mapping[str, str] = os.environ) -> "BuildOptions":
        """BENCHMARK_BASE_<VARIANT>, BENCHMARK_BUILD_BASE_<VARIANT> (which compose.yaml reads too), SSL_CERT_FILE and
        PIP_CONFIG_FILE.

        Raises UsageError for a file that isn't there.
        """
        return cls(
            bases=_by_variant(BASE_PREFIX, variants, environment),
            build_bases=_by_variant(BUILD_BASE_PREFIX, variants, environment),
            ca=_file("SSL_CERT_FILE", environment),
            pip_config=_file("PIP_CONFIG_FILE", environment),
        )


def by_variant_name(prefix: str, variant: str) -> str:
    """The name of a variable that is for one variant."""
    return f"{prefix}{variant.upper().replace('-', '_')}"


def _by_variant(prefix: str, variants: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    names = {variant: by_variant_name(prefix, variant) for variant in variants}
    return {variant: environment[name] for variant, name in names.items() if environment.get(name)}


def _file(name: str, environment: Mapping[str, str]) -> Path | None:
    """A file that a variable names; os.devnull, which switches pip's configuration off, is none."""
    path = Path(environment.get(name) or os.devnull)
    if path == Path(os.devnull):
        return None
    if not path.is_file():
        raise UsageError(f"{name}={path}: no such file; builds and --prepare in containers need it, or unset {name}")
    return path.resolve()


def build(image: Image, variant: Variant, options: BuildOptions, address: str, revision: str | None, log: Path) -> None:
    """Build an image and give it both its names. Raises BenchmarkError, with BuildKit's output in `log`.

    address: of the engine. revision: the commit of this checkout, for the image's label.
    """
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": address}
    command = build_command(environment) + build_options(image, variant, options, revision)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"image {image.name} ({variant.name}): the build failed; see {log}")


def build_options(image: Image, variant: Variant, options: BuildOptions, revision: str | None) -> list[str]:
    """What follows the command: arguments, labels, names, secrets and the context."""
    bases = options.bases.get(variant.name), options.build_bases.get(variant.name)
    arguments = {**build_arguments(image, variant, *bases), "REVISION": revision or ""}
    described = labels(image, variant, arguments["BASE"], source_url())
    secrets = {"ca": options.ca, "pip": options.pip_config}
    return [
        *("--progress", "plain", "--file", str(DOCKERFILE)),
        *_repeated("--build-arg", [f"{name}={value}" for name, value in arguments.items()]),
        # taken from its own environment; the proxies' are known to BuildKit without a declaration
        *_repeated("--build-arg", [name for name in (*PROXY_VARIABLES, *_jobs(variant)) if name in os.environ]),
        *_repeated("--label", [f"{name}={value}" for name, value in described.items()]),
        *_repeated("--tag", [reference(image, variant), alias(image, variant)]),
        *_repeated("--secret", [f"id={name},src={path}" for name, path in secrets.items() if path is not None]),
        str(REPOSITORY),
    ]


def _jobs(variant: Variant) -> Sequence[str]:
    """Only a variant that builds packages declares it; BuildKit complains of what isn't used."""
    return [JOBS_VARIABLE] if variant.build_packages else []


def build_command(environment: Mapping[str, str]) -> list[str]:
    """The first docker command on the PATH that has BuildKit: as the buildx plugin, or built in (until 22).

    Raises BenchmarkError with the mend where there is none.
    """
    for client in _clients(environment):
        if _answers([client, "buildx", "version"], environment) is not None:
            # the engine's own builder: it alone sees the images of this machine as bases
            return [client, "buildx", "build", "--builder", "default", "--load"]
        if "--secret" in (_answers([client, "build", "--help"], environment) or ""):
            return [client, "build"]
    raise BenchmarkError(
        "images can't be built here: no docker command with BuildKit is on the PATH; install docker-buildx-plugin, "
        "or pull the images with --pull"
    )


def _clients(environment: Mapping[str, str]) -> list[str]:
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    return [found for folder in folders if (found := shutil.which("docker", path=folder))]


def _answers(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
