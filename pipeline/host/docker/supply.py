"""Where a container image comes from: it is here, or it is pulled, or built."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError
from pipeline.host.docker.build import BuildOptions, build
from pipeline.host.docker.digests import Digests, Published, Unpublished
from pipeline.host.docker.engine import Engine, LocalImage
from pipeline.host.docker.images import BASE_LABEL, CONTENT_LABEL, alias, content, reference


@dataclass(frozen=True)
class Supply:
    """Finds, pulls or builds images of this checkout's content.

    digests: the published images, which are pulled; None where all are built. registry: a mirror to pull them from.
    revision: the commit of this checkout.
    """

    engine: Engine
    build_options: BuildOptions
    digests: Digests | None = None
    registry: str | None = None
    revision: str | None = None

    def found(self, image: Image, variant: Variant) -> LocalImage | None:
        """By its digest where that is published, else by the name that holds its content's; in either case by the
        whole content in its label, since anyone can give a name. Over another base than asked for it is another image.
        """
        published = self._published(image, variant)
        name = published.reference if isinstance(published, Published) else reference(image, variant)
        found = self.engine.image(name)
        if found is None or found.labels.get(CONTENT_LABEL) != content(image, variant):
            return None
        base = self.build_options.bases.get(variant.name)
        return found if base in (None, found.labels.get(BASE_LABEL)) else None

    def digest(self, image: Image, variant: Variant) -> str | None:
        """What a registry has it under, or its id where it was built here; None where it isn't here."""
        found, published = self.found(image, variant), self._published(image, variant)
        if found is None:
            return None
        return published.reference if isinstance(published, Published) else found.digest

    def how(self, image: Image, variant: Variant) -> str:
        """Pulled, from where; or built, and why it is not pulled where that was asked for."""
        published = self._published(image, variant)
        if published is None:
            return "built"
        return f"pulled: {published.reference}" if isinstance(published, Published) else f"built: {published.reason}"

    def ensure(self, image: Image, variant: Variant, log: Path) -> None:
        """Find the image; else pull it, where that was asked for and it was published; else build it.

        What is listed as published and can't be had is an error: an image built instead would be another one.
        """
        if self.found(image, variant) is not None:
            return
        published = self._published(image, variant)
        if isinstance(published, Published):
            self._pull(image, variant, published, log)
        else:
            if published is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(f"{self.how(image, variant)}\n", encoding="utf-8")
            build(image, variant, self.build_options, self.engine.address, self.revision, log)

    def _published(self, image: Image, variant: Variant) -> Published | Unpublished | None:
        """None where nothing is to be pulled."""
        if self.digests is None:
            return None
        return self.digests.find(image, variant, self.build_options.bases.get(variant.name), self.registry)

    def _pull(self, image: Image, variant: Variant, published: Published, log: Path) -> None:
        """Fetch it by its digest, check that it is what it is listed as, and give it both names of a built one."""
        name = published.reference
        try:
            self.engine.pull(name)
            if self.found(image, variant) is None:
                raise BenchmarkError("its labels name another content or base than images/digests.json lists")
            for other in (reference(image, variant), alias(image, variant)):
                self.engine.tag(name, other)
        except BenchmarkError as error:
            fault = f"image {image.name} ({variant.name}): {name} can't be pulled: {error}"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(f"{fault}\n", encoding="utf-8")
            raise BenchmarkError(f"{fault}; without --pull it is built") from error
