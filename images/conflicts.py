"""Which images could share one environment? `python -m images.conflicts [NAME…]` asks the resolver and writes it down.

Two locks may differ by accident, so the question is whether any environment satisfies what both were compiled from. It
is asked for every two images that have variants for the same hardware. The answers go into conflicts.json, and from
there, with the locks, into docs/why-images.md. --check asks nothing, and says whether the document is up to date.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations, product

from images.lock import IMAGES, inputs_sha256
from images.resolver import Contradiction, Wanted, resolve, unite
from images.why import DOCUMENT, Pair, Side, Verdict, with_table
from pipeline import codec
from pipeline.catalog import find, load_catalog
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import read_json, write_atomically, write_json

RECORD = IMAGES / "conflicts.json"
AT_ONCE = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 where the resolver can't answer, or --check finds the document outdated; 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="python -m images.conflicts", description="Ask which images contradict.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="an image: ask about its pairs, and those without an answer (all)"
    )
    parser.add_argument("--check", action="store_true", help="ask nothing; is the document what the record makes?")
    parser.add_argument("--without-index", action="store_true", help="as in images.lock")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            return check()
        images = load_catalog().images
        again = {find(images, name, "image").name for name in options.names} or images.keys()
        verdicts = ask_all(pairs(images.values()), again, with_index=not options.without_index)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    write_json(RECORD, codec.encode(verdicts))
    write_atomically(DOCUMENT, with_table(DOCUMENT.read_text(encoding="utf-8"), verdicts))
    print(DOCUMENT.relative_to(IMAGES.parent))
    return 0


def check() -> int:
    """0 if the record's answers are to today's requirements and the document is made from them; else 1."""
    verdicts = recorded()
    text = DOCUMENT.read_text(encoding="utf-8")
    asked_today = [verdict.pair for verdict in verdicts] == pairs(load_catalog().images.values())
    if asked_today and text == with_table(text, verdicts):
        return 0
    print(f"error: {DOCUMENT.name} is outdated; run `make lock`", file=sys.stderr)
    return 1


def recorded() -> list[Verdict]:
    """The answers as they were written down."""
    return [codec.decode(Verdict, item, str(RECORD)) for item in read_json(RECORD)]


def pairs(images: Collection[Image]) -> list[Pair]:
    """Every two images on each hardware that both have a variant for; where they share no CUDA version, on any.

    The Python is the same in any case: an environment has but one. Images that no experiment needs are left out.
    """
    return [
        Pair(_side(first, one), _side(second, other), _hardware(one, other))
        for first, second in combinations([image for image in images if not image.extra], 2)
        for one, other in _comparable(first, second)
    ]


def _comparable(first: Image, second: Image) -> list[tuple[Variant, Variant]]:
    both = [
        (one, other)
        for one, other in product(first.variants, second.variants)
        if (one.device, one.python) == (other.device, other.python)
    ]
    shared = {(one.device, one.python) for one, other in both if one.cuda == other.cuda}
    return [(one, other) for one, other in both if one.cuda == other.cuda or (one.device, one.python) not in shared]


def _side(image: Image, variant: Variant) -> Side:
    return Side(image.name, variant.name, inputs_sha256(variant, IMAGES / image.name))


def _hardware(one: Variant, other: Variant) -> str:
    versions = " and ".join(dict.fromkeys(variant.cuda or "unknown" for variant in (one, other)))
    device = "CPU" if one.device == "cpu" else f"CUDA {versions}"
    return f"{device}, Python {one.python}"


def ask_all(today: Sequence[Pair], again: Collection[str], with_index: bool = True) -> list[Verdict]:
    """The verdicts on all pairs. Those that are written down are kept, but for the pairs of the images in `again`.

    Raises BenchmarkError where the resolver can't answer.
    """
    known = {verdict.pair: verdict for verdict in recorded()}
    kept = {pair: known[pair] for pair in today if pair in known and not {*pair.images} & {*again}}
    missing = [pair for pair in today if pair not in kept]
    with ThreadPoolExecutor(AT_ONCE) as pool:  # they wait for the index most of the time
        answers = pool.map(partial(ask, with_index=with_index), missing)
        verdicts = kept | dict(zip(missing, answers, strict=True))
    return [verdicts[pair] for pair in today]


def ask(pair: Pair, with_index: bool = True) -> Verdict:
    """Could one environment hold both images' packages: as they are pinned, else with no pins but the engines' own?

    Raises BenchmarkError where the resolver gives no answer.
    """
    sides = [Wanted.of(*_find(side)) for side in (pair.first, pair.second)]
    pinned = resolve(unite(*sides), with_index)
    if pinned is None:
        return Verdict(pair, "as pinned")
    for side in sides:
        _require_possible(side, with_index)
    engines = resolve(unite(*(side.engine_alone() for side in sides)), with_index)
    owners = list(zip(pair.images, sides, strict=True))
    if engines is None:
        return Verdict(pair, "with other pins", _attributed(pinned, owners))
    return Verdict(pair, "never", _attributed(pinned, owners), _attributed(engines, owners))


def _attributed(found: Contradiction, owners: Sequence[tuple[str, Wanted]]) -> tuple[str, ...]:
    """What contradicts, each pin with the images whose it is: "vllm pins torch==2.11.0".

    A pin that is of neither is the resolver's conclusion from a dependency, which stands there already.
    """
    images = {pin: [image for image, wanted in owners if wanted.has(pin)] for pin in found.pins}
    return (*found.dependencies, *(f"{' and '.join(names)} pins {pin}" for pin, names in images.items() if names))


def _require_possible(side: Wanted, with_index: bool) -> None:
    """Raise BenchmarkError if an image's requirements alone can't be met here: that says nothing about any pair."""
    contradiction = resolve(side, with_index)
    if contradiction is not None:
        raise BenchmarkError(f"an image's requirements can't be met here even alone\n{contradiction.text}")


def _find(side: Side) -> tuple[Image, Variant]:
    image = load_catalog().images[side.image]
    return image, next(variant for variant in image.variants if variant.name == side.variant)


if __name__ == "__main__":
    sys.exit(main())
