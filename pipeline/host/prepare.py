"""Everything a run needs before any GPU time: environments and weights, each failure kept to what depends on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.catalog import Catalog
from pipeline.errors import BenchmarkError
from pipeline.hardware import Hardware
from pipeline.host.launchers import Launcher
from pipeline.host.watcher import Watcher
from pipeline.plan import Selected, Skipped, formats_needed, preparing_variant
from pipeline.spec import Image, JobWeights, Model, Variant
from pipeline.weights import read_weights


@dataclass(frozen=True)
class Broken:
    """What could not be prepared: the message, and the log that holds the details."""

    message: str
    log: Path


@dataclass
class Prepared:
    """Outcome per image and per format of weights."""

    images: dict[str, Broken] = field(default_factory=dict)
    weights: dict[str, JobWeights | Broken] = field(default_factory=dict)

    def obstacle(self, selected: Selected) -> Broken | None:
        """What keeps this experiment from starting, if anything."""
        form = selected.experiment.weights
        weights = self.weights.get(form) if form else None
        return self.images.get(selected.image.name) or (weights if isinstance(weights, Broken) else None)

    def broken(self) -> bool:
        """Whether anything could not be prepared."""
        return bool(self.images) or any(isinstance(item, Broken) for item in self.weights.values())

    def weights_of(self, selected: Selected) -> JobWeights | None:
        """The prepared weights of an experiment; None for one without a model."""
        form = selected.experiment.weights
        weights = self.weights[form] if form else None
        return weights if isinstance(weights, JobWeights) else None


@dataclass(frozen=True)
class Preparation:
    """Makes environments, then weights. Only this touches the network, and only for what isn't there yet.

    hardware, forced: what decides an image's variant, as in plan.select. logs: the folder for the logs of what is made.
    """

    catalog: Catalog
    launcher: Launcher
    hardware: Hardware
    forced: Mapping[str, str]
    cache: Path
    logs: Path
    watcher: Watcher

    def prepare(self, planned: Sequence[Selected | Skipped], model: Model) -> Prepared:
        """Prepare what the selected experiments need."""
        prepared = Prepared()
        selected = [item for item in planned if isinstance(item, Selected)]
        variants = {item.image.name: item.variant for item in selected}
        for name, variant in variants.items():
            self._ensure_image(self.catalog.images[name], variant, prepared)
        for form, image_name in formats_needed(selected, model).items():
            weights = read_weights(self.catalog, model.name, form, self.cache)
            prepared.weights[form] = weights or self._make_weights(form, image_name, variants, model, prepared)
        return prepared

    def _ensure_image(self, image: Image, variant: Variant, prepared: Prepared) -> None:
        log = self.logs / f"image-{image.name}-{variant.name}.txt"
        try:
            if not self.launcher.ready(image, variant):
                self.watcher.preparing(f"image {image.name} ({variant.name}), {self.launcher.how(image, variant)}")
                self.launcher.ensure(image, variant, log)
        except BenchmarkError as error:
            prepared.images[image.name] = Broken(str(error), log)
            self.watcher.trouble(str(error))

    def _make_weights(
        self, form: str, image_name: str, variants: dict[str, Variant], model: Model, prepared: Prepared
    ) -> JobWeights | Broken:
        """Run the entrypoint's --prepare in the image that knows how, the selected variant if there is one."""
        image = self.catalog.images[image_name]
        source = model.weights[form]
        log = self.logs / f"weights-{model.name}-{form}.txt"
        base = prepared.weights.get(source.convert_from) if source.convert_from else None
        if isinstance(base, Broken):
            return Broken(f"{model.name} {form}: made from {source.convert_from}, which failed", base.log)
        variant = variants.get(image_name) or preparing_variant(
            image, self.hardware, self.launcher.why_not, self.forced
        )
        if variant is None:
            return Broken(f"{model.name} {form}: image {image_name} prepares it and can't run on this machine", log)
        if image_name not in variants:
            variants[image_name] = variant
            self._ensure_image(image, variant, prepared)
        if image_name in prepared.images:
            return prepared.images[image_name]
        self.watcher.preparing(f"weights of {model.name} ({form})")
        arguments = ["--prepare", model.name, "--weights", form]
        exit_ = self.launcher.run(image, variant, arguments, log, lambda line: None, network=True)
        weights = read_weights(self.catalog, model.name, form, self.cache) if exit_.code == 0 else None
        if weights is None:
            broken = Broken(_last_line(log) or f"{model.name} {form}: preparing it ended with status {exit_.code}", log)
            self.watcher.trouble(broken.message)
            return broken
        return weights


def _last_line(log: Path) -> str | None:
    """The last line that says something, which is the error's own text."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), None)
