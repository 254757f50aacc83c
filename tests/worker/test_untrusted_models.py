"""Models that were made to do harm as they are loaded, on the engines themselves."""

import subprocess
import sys
from pathlib import Path

from tests.worker.conftest import Inside

LLAMA_CPP = """
import http.client, json, sys, tempfile
from pathlib import Path
from urllib.parse import urlsplit
from pipeline.worker.backend import Setup
from pipeline.worker.backends import llama_cpp
from pipeline.worker.synthetic import gguf

own = gguf._metadata()
gguf._metadata = lambda: {**own, "tokenizer.chat_template": (gguf.STRING, sys.argv[1])}
with tempfile.TemporaryDirectory() as folder:
    path = gguf.write(Path(folder))
    engine = llama_cpp.create(Setup(path, "cpu", "float32", {}, 1, 64, (0,), 0))
    engine.load()
    address = urlsplit(engine._server.listening_address)
    answers = {}
    for method, path in (("GET", "/"), ("GET", "/v1/models"), ("GET", "/slots"), ("POST", "/completion")):
        connection = http.client.HTTPConnection(address.netloc)
        connection.request(method, path, "{}")
        answers[path] = connection.getresponse().status
        connection.close()
    tokens = len(engine.encode(["loaded"])[0])
    engine.close()
print(json.dumps({"tokens": tokens, "host": address.hostname, "answers": answers}))
"""

PICKLE_AND_CODE = """
import json, sys, tempfile
from pathlib import Path
from dataclasses import replace
import torch
from safetensors.torch import load_file
from pipeline.worker.backend import Setup
from pipeline.worker.backends import transformers
from pipeline.worker.synthetic import checkpoint


class Harm:
    def __reduce__(self):
        return Path.touch, (Path(sys.argv[1]),)


def outcome(setup):
    engine = transformers.create(setup)
    try:
        engine.load()
    except Exception as error:
        return type(error).__name__
    finally:
        engine.close()
    return "loaded"


with tempfile.TemporaryDirectory() as folder:
    weights = checkpoint.write(Path(folder))
    [safe] = weights.glob("*.safetensors")
    tensors = load_file(safe)
    safe.unlink()
    torch.save(tensors, weights / "pytorch_model.bin")
    setup = Setup(weights, "cpu", "float32", {"attention": "sdpa"}, 1, 64, (0,), 0)
    seen = {"unasked": outcome(setup), "allowed": outcome(replace(setup, allow_pickle=True))}
    torch.save({**tensors, "model.norm.weight": Harm()}, weights / "pytorch_model.bin")
    seen["harmful"] = outcome(replace(setup, allow_pickle=True))
    torch.save(tensors, weights / "pytorch_model.bin")
    (weights / "own.py").write_text(f"import pathlib\\npathlib.Path({sys.argv[1]!r}).touch()\\nclass Own: pass\\n")
    for name, part in (("config.json", "AutoModelForCausalLM"), ("tokenizer_config.json", "AutoTokenizer")):
        content = json.loads((weights / name).read_text())
        content["auto_map"] = {part: ["own.Own", "own.Own"] if part == "AutoTokenizer" else "own.Own"}
        (weights / name).write_text(json.dumps(content))
    outcome(replace(setup, allow_pickle=True))
    config = json.loads((weights / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", **config["auto_map"]}}
    (weights / "config.json").write_text(json.dumps(config))
    seen["own code"] = outcome(replace(setup, allow_pickle=True))
print(json.dumps(seen))
"""


def test_the_chat_template_in_a_gguf_file_is_never_run_and_the_server_answers_nobody_else(inside: Inside) -> None:
    seen = inside("llama-cpp", LLAMA_CPP, "{{ raise_exception('run') }}")
    assert seen["tokens"] > 0
    assert seen["host"] == "127.0.0.1"
    assert seen["answers"] == {"/": 404, "/v1/models": 401, "/slots": 401, "/completion": 401}


def test_neither_a_pickles_code_nor_a_models_own_ever_runs_though_tensors_are_read(
    inside: Inside, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    seen = inside("transformers", PICKLE_AND_CODE, str(touched))
    assert (seen["unasked"], seen["allowed"]) == ("OSError", "loaded")
    assert "loaded" not in (seen["harmful"], seen["own code"])
    assert not touched.exists()


def test_nobody_is_asked_whether_a_models_own_code_may_run() -> None:
    code = "from pipeline.worker.entrypoint import ask_nobody; ask_nobody(); input()"
    done = subprocess.run([sys.executable, "-c", code], input="y\n", capture_output=True, text=True, check=False)
    assert "EOFError" in done.stderr
