PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test test-all test-wheel dev lint clean

demo: .venv/installed
	$(BIN)/paris run --profile demo

test: .venv/installed
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not extended and not wheel"

test-all: .venv/installed
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-wheel: .venv/installed
	$(BIN)/python -m pytest -n 0 -m wheel paris_assets_tests/test_wheel.py

dev: .venv/installed
	$(BIN)/paris dev --root data/runs/demo

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

.venv/installed: requirements.lock pyproject.toml setup.cfg
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv data/runs
