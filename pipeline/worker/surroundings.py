"""What a worker runs in: its image and variant, which the environment names, and the variables that they ask for.

Containers and virtual environments name them alike, so `python -m pipeline` behaves the same however it is started.
"""

import os
import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.catalog import Catalog, find, load_catalog
from pipeline.current import env_of, in_environment
from pipeline.entries import Experiment, Image, Variant
from pipeline.errors import UsageError
from pipeline.files import holds_anything
from pipeline.gpus import detect_gpus
from pipeline.machine import cpu_name, os_name, slug
from pipeline.names import check_name
from pipeline.spec import HostFacts


@dataclass(frozen=True)
class Surroundings:
    """The image's variant that this process runs in, and the name of the launcher that started it.

    compile_cache: the folder for compiled kernels, which can outlive a job.
    """

    image: Image
    variant: Variant
    launcher: str
    compile_cache: Path

    def variables(self) -> dict[str, str]:
        """What the image's variant declares, with this process's folders filled in."""
        declared = self.image.variables(self.variant)
        return {name: value.replace("{compile_cache}", str(self.compile_cache)) for name, value in declared.items()}

    def experiments(self, catalog: Catalog) -> list[Experiment]:
        """Those that run in this image."""
        return [experiment for experiment in catalog.experiments.values() if experiment.image == self.image.name]

    def converters(self, catalog: Catalog) -> list[str]:
        """Those that make formats of weights in this image from any model's (models.yaml: formats, using)."""
        sources = [source for source in catalog.formats.values() if source.kind != "synthetic"]
        own = [source.using for source in sources if source.image == self.image.name]
        return [using for using in own if using is not None]


def read_surroundings(environment: MutableMapping[str, str] = os.environ) -> tuple[Catalog, Surroundings | None]:
    """The catalogue as this image knows it, and the surroundings that BENCHMARK_IMAGE and BENCHMARK_VARIANT name.

    Without those two the catalogue is the whole repository's, and the surroundings are None.
    """
    image_name, variant_name = environment.get("BENCHMARK_IMAGE"), environment.get("BENCHMARK_VARIANT")
    if not image_name or not variant_name:
        return load_catalog(), None
    catalog = in_environment(load_catalog(only=check_name(image_name, "BENCHMARK_IMAGE")), env_of(variant_name))
    image = catalog.images[image_name]
    variant = find(
        {variant.name: variant for variant in image.variants},
        variant_name,
        f"variant of image {image_name} in BENCHMARK_VARIANT",
    )
    return catalog, Surroundings(
        image=image,
        variant=variant,
        launcher=environment.get("BENCHMARK_LAUNCHER") or "process",
        compile_cache=Path(
            environment.get("BENCHMARK_COMPILE_CACHE") or _own_compile_cache(environment, image, variant)
        ),
    )


def _own_compile_cache(environment: Mapping[str, str], image: Image, variant: Variant) -> Path:
    """In the user's own folder: what lies in a shared one can be anybody's, and kernels are run as they are found.

    One for each image and device, as the orchestrator has them (its own go by the packages, too).
    """
    home = environment.get("HOME")
    caches = Path(home) / ".cache" if home else Path(tempfile.mkdtemp())
    gpus = detect_gpus() if variant.device == "cuda" else []
    name = f"{image.name}-{variant.name}-{slug(gpus[0].name if gpus else cpu_name())}"
    return caches / "summarisation-benchmark" / "compile" / name


def enter(
    surroundings: Surroundings | None, *, network: bool, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Set the variables that engines and the Hub's library read when they are imported, so call this before.

    network: False keeps the Hub's library from looking for updates of what lies in the cache.
    """
    if surroundings is not None:
        environment.update(surroundings.variables())
    if not network:
        environment["HF_HUB_OFFLINE"] = "1"


def require_surroundings(surroundings: Surroundings | None) -> Surroundings:
    """The surroundings; a UsageError where the environment doesn't name them."""
    if surroundings is None:
        raise UsageError(
            "BENCHMARK_IMAGE and BENCHMARK_VARIANT don't say which image this is; run it in an image, which sets them"
        )
    return surroundings


def host_facts(surroundings: Surroundings) -> HostFacts:
    """What a worker without an orchestrator can tell: what its image was built with, and the caches that it finds."""
    return HostFacts(
        os=os_name(),
        git_commit=os.environ.get("BENCHMARK_GIT_COMMIT") or None,
        image_digest=os.environ.get("BENCHMARK_IMAGE_DIGEST") or None,
        compile_cache="warm" if holds_anything(surroundings.compile_cache) else "cold",
    )


def writable_mount(name: str) -> str:
    """How to mend a folder (cache, results) that can't be written to."""
    options = f'-v "$PWD/{name}:/{name}" --user "$(id -u):$(id -g)"'
    return f"own it, or in a container mount a folder that you own, without :ro and as yourself: {options}"
