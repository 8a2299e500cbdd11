# `make bench` runs the main job on the virtual board, `make test` the test suite; both prepare the machine first.

PYTHON ?= python3
BOARD ?= virtual
DATASET ?=
PY = .venv/bin/python

export TINYRIG_DATASET ?= $(DATASET)

.PHONY: bench test test-slow setup lint clean

bench: setup
	@$(PY) -m pytest bench/ --board=$(BOARD) $(ARGS)

test: setup
	@$(PY) -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: setup
	@$(PY) -m pytest -n 2 --dist loadfile -m slow $(ARGS)

setup:
	@$(PYTHON) harness/bootstrap.py

lint: setup
	@$(PY) -m ruff check .

clean:
	rm -rf build reports/out variants/out
