# Every target creates its environment first if there is none. An active virtual or conda
# environment is used as it is; otherwise .venv is created. `make VENV=DIR` selects another one.
PYTHON ?= python3
ACTIVE := $(or $(VIRTUAL_ENV),$(if $(filter-out base,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX)))
VENV ?= $(or $(ACTIVE),.venv)
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
ARGS ?=

# glibc would otherwise return the memory of each step to the system and request it again page by
# page, which takes a tenth of a training step on a CPU. Other systems ignore these variables.
export MALLOC_MMAP_THRESHOLD_ ?= 1073741824
export MALLOC_TRIM_THRESHOLD_ ?= 8589934592
export MALLOC_TOP_PAD_ ?= 268435456

.PHONY: celeba pretrained test lint format docs dist bench gpu clean

celeba: $(VENV)/.ccvae-pyro-run
	$(BIN)/python examples/celeba.py $(ARGS)

pretrained: $(VENV)/.ccvae-pyro-run
	$(BIN)/python examples/pretrained.py $(ARGS)

test: $(VENV)/.ccvae-pyro-dev
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(VENV)/.ccvae-pyro-dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.ccvae-pyro-dev
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

docs: $(VENV)/.ccvae-pyro-dev
	bash .ci/programs dot:graphviz npm:npm
	$(RUN) pytest docs
	OMP_NUM_THREADS=1 $(RUN) sphinx -W --keep-going -b html docs docs/_build/html $(ARGS)

dist: $(VENV)/.ccvae-pyro-dev
	rm -rf build dist
	$(RUN) build

bench: $(VENV)/.ccvae-pyro-dev
	mkdir -p build
	$(RUN) pytest tests/bench tests/docs/test_explorer.py --benchmark-only --benchmark-columns=median,iqr,rounds \
		--benchmark-json=build/bench.json $(ARGS)
	$(BIN)/python tests/bench/draw.py build/bench.json build/bench.png

# On a machine with a GPU, which may have no network: the environment is used if there is one, and
# otherwise PYTHON with what is on PYTHONPATH.
gpu:
	PYTHONPATH="$(CURDIR):$(CURDIR)/tests:$$PYTHONPATH" \
		$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) tests/bench/gpu.py $(ARGS)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ccvae-pyro-run: setup.cfg pyproject.toml | $(BIN)/python
	$(RUN) pip install -e '.[avatars]'
	touch $@

$(VENV)/.ccvae-pyro-dev: setup.cfg pyproject.toml | $(BIN)/python
	$(RUN) pip install -e '.[dev]'
	touch $@

clean:
	rm -rf .venv docs/_build docs/explorer/node_modules build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
