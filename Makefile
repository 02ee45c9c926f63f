# Two commands that need nothing but Python 3.11 and this folder.
#   make train    set up .venv and train on the bundled Fashion-MNIST
#   make test     set up .venv and run the whole test suite

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: train test clean

train: .venv/.installed
	$(BIN)/convscope train

test: .venv/.tested
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

clean:
	rm -rf .venv

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no python3.11 found; name one: make PYTHON=/path/to/python3.11 train"; exit 2; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/.tested: .venv/.installed
	$(PIP) --editable '.[test]'
	touch $@
