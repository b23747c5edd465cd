# `make demo` and `make test` do all the set-up they need on a fresh machine.
PYTHON ?= python3
BIN = .venv/bin
RUN = runs/demo

.PHONY: setup demo test quick check bench gpu-check wheel clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup  ## a sweep in lanes of one worker, then two more trials in a lane of two
	$(BIN)/voxstudy run demo --run $(RUN)
	$(BIN)/voxstudy run demo --run $(RUN) --trials 14 --workers 2
	$(BIN)/voxstudy show $(RUN)

test: setup
	$(BIN)/pytest -q

quick: setup
	$(BIN)/pytest -q -m "not slow and not ray and not chromium"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks.run

gpu-check: setup  ## what voxstudy needs of GPUs, tried here; without GPUs a dry run on the CPU
	$(BIN)/python -m voxstudy.gpu_check

wheel: setup  ## its version carries a hash of its content: Ray caches wheels by their file name
	rm -rf build dist
	VOXSTUDY_WHEEL=1 $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean:  ## everything that was built; runs/ are results and stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
