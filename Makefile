# `make bench` runs the main job on the virtual board, `make test` the test suite; both prepare the machine first.

PYTHON ?= python3
BOARD ?= virtual
FUZZ_SECONDS ?= 60
ADVERSARY_SECONDS ?= 600
FRAMES ?= 10000000
DATASET ?=
PY = .venv/bin/python

export TINYRIG_DATASET ?= $(DATASET)

.PHONY: bench test test-slow fuzz false-accept adversary setup lint docs clean

bench: setup
	@$(PY) -m pytest bench/ --board=$(BOARD) $(ARGS)

test: setup
	@$(PY) -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: setup
	@$(PY) -m pytest -n 2 --dist loadfile -m slow $(ARGS)

# Each of the two targets runs so many seconds; needs clang, which nothing else does.
fuzz:
	@$(PYTHON) harness/bootstrap.py fuzz
	@$(PY) -m tinyrig.firmware.fuzz.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

false-accept: setup
	@$(PY) -m tinyrig.firmware.fuzz.false_accept --frames $(FRAMES) $(ARGS)

# Hostile models, boards, files, signals and kills; the seed that it prints repeats it: ARGS="--seed N".
adversary: setup
	@$(PY) -m tinyrig.tests.adversary --seconds $(ADVERSARY_SECONDS) $(ARGS)

setup:
	@$(PYTHON) harness/bootstrap.py

lint:
	@$(PYTHON) harness/bootstrap.py lint
	@$(PY) -m tinyrig.tests.lint $(ARGS)

# The site, for reading without a network: build/site/index.html.
docs: setup
	@$(PY) -m mkdocs build --strict --quiet
	@echo build/site/index.html

clean:
	rm -rf build reports/out variants/out
