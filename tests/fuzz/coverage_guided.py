"""One target under atheris, which looks for inputs that reach new code; the campaign starts it as a process of its own.

libFuzzer, which atheris drives, ends the process: with status 0 when its time is up, else after writing the input that
broke the property into the folder that it was given.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pipeline", "yaml"]):
    from tests.fuzz.targets import targets

from tests.fuzz.inputs import GENERAL
from tests.fuzz.property import check


def main() -> None:
    """Fuzz until the time is up."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.coverage_guided", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--findings", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    target = targets()[given.target]
    with tempfile.TemporaryDirectory() as folder:
        corpus, scratch = Path(folder, "corpus"), Path(folder, "scratch")
        corpus.mkdir()
        scratch.mkdir()
        for number, seed in enumerate((*target.seeds, *target.tokens)):
            (corpus / str(number)).write_bytes(seed)
        dictionary = Path(folder, "dictionary")
        words = [word for word in (*target.tokens, *GENERAL) if 0 < len(word) <= 64]
        dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
        options = [
            f"-max_total_time={given.seconds}",
            f"-artifact_prefix={given.findings}/",
            f"-dict={dictionary}",
            "-max_len=65536",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            "-timeout=0",  # property.LIMIT_S does that, and by the same signal
            "-verbosity=1",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: check(target, data, scratch))
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
