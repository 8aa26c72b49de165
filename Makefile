# Everything happens in .venv, which `make` builds and keeps up to date with pyproject.toml.

PYTHON ?= python3
TORCH  ?= torch==2.13.0
VENV   := .venv
BIN    := $(VENV)/bin
OLD    := phistar needs Python 3.11 or later: make PYTHON=python3.12
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE  # with it, every import compiles every module anew

.DEFAULT_GOAL := help
.PHONY: help mnist chaos benchmark test lint format golden clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

mnist: $(VENV)/.plot  ## train the lecture's perceptron on MNIST
	phistar train mnist-mlp

chaos: $(VENV)/.test  ## kill trainings 200 times and compare the bits (RUN="--kills 1000")
	python tests/training/chaos.py $(RUN)

benchmark: $(VENV)/.bench  ## measure phistar against its peers (RUN="W1 W2 --windows 9": only that)
	python -m benchmarks.run $(RUN)

test: lint  ## lint, then run the tests
	pytest -n 2

lint: $(VENV)/.test  ## check style, types and layers
	ruff check
	ruff format --check
	mypy
	lint-imports

format: $(VENV)/.test  ## reformat the code
	ruff check --fix
	ruff format

golden: $(VENV)/.test  ## write tests/golden anew (look at the difference before committing)
	pytest -n 2 --update-golden

clean:  ## remove the environment and all caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(OLD)" or 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.plot: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install -q -e '.[plot]'
	touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install -q -e '.[bench]'
	touch $@

# PyTorch is only compared with: without it (make test TORCH=) those tests are skipped.
$(VENV)/.test: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install -q -e '.[plot,xla,test,dev]'
	$(if $(TORCH),-$(BIN)/python -m pip install -q '$(TORCH)')
	touch $@
