# Three commands that need nothing but Python 3.11 and this folder.
#   make train    set up .venv and train on the bundled Fashion-MNIST
#   make check    set up .venv and run what takes less than a minute: for every change
#   make test     set up .venv and run everything: before a change is handed in

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# One thread a worker: two workers share two cores. A worker that has no tests left takes over half of the
# other's rest, so that tests which share a fixture mostly stay together. Compiled tests are kept, whatever the
# environment says: without them collecting takes 13 s in place of 7.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: train check test style types quick clean

train: .venv/.installed
	$(BIN)/convscope train

check: .venv/.tested
	$(MAKE) --no-print-directory --jobs 3 style types quick

test: .venv/.tested
	$(MAKE) --no-print-directory style types
	$(PYTEST)

style:
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

types:
	$(BIN)/mypy

quick:
	$(PYTEST) -m "not slow" tests/architecture tests/unit src

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
