# Two commands do all the set-up on a fresh machine with Python 3.11 and make: `make demo` and `make test`.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lock docs clean clean-images

demo: $(VENV)/host
	$(BIN)/python orchestrator.py --gpu cpu --all --launcher process --run demo \
		--model gemma-3-270m --dataset sample --docs 6 --max-new-tokens 64 \
		--label "demo: 6 documents, 64 new tokens, too few to conclude from" $(ARGS)

test: check
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder $(ARGS)

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint images/Dockerfile docs/cluster/Dockerfile
	$(BIN)/shellcheck images/system-packages.sh .ci/run docs/cluster/slurm.sh
	$(BIN)/actionlint -shellcheck $(BIN)/shellcheck .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github/workflows

# The host's own environment; each experiment's is made by the orchestrator from images/.
$(VENV)/host: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement $<
	touch $@

$(VENV)/dev: requirements-dev.lock $(VENV)/host
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement $<
	touch $@

# Compile every lock again, the host's and the images', from the short lists of what is wanted; then write what is made
# of them: which images contradict each other (docs/why-images.md), and compose.yaml.
lock: $(VENV)/dev
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra dev --output-file requirements-dev.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra ray --output-file requirements-ray.lock pyproject.toml
	$(BIN)/python -m images.lock $(ARGS)
	$(BIN)/python -m images.conflicts $(ARGS)
	$(BIN)/python -m images.compose

# What is made of pipeline/config/failures.yaml.
docs: $(VENV)/dev
	$(BIN)/python -m pipeline.report.troubleshooting
	$(BIN)/python -m tests.reliability

clean:
	rm -rf $(VENV) cache results data/prepared

# All images of this project, of this checkout's code and of older code.
clean-images:
	docker image prune --all --force --filter label=summarisation-benchmark.content
