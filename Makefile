PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test test-slow test-all test-older test-streaming test-energon bench-signals test-wheel dev lint clean

demo: .venv/installed
	$(BIN)/paris run --profile demo

test: .venv/installed
	$(BIN)/python -m paris_assets_tests.fixtures.kernels
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 25 \
		-m "not extended and not wheel and not slow"

# Daemons, webservers, killed processes, an error in the middle of every kind of file, all that the docs show, runs by hand.
test-slow: .venv/installed
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "slow and not extended and not wheel"

test-all: .venv/installed
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# What an x86 machine without AVX-512 and bf16 computes, as far as the libraries can be told to do without.
OLDER := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell \
	NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR"
NUMERIC := models latents captions clusters signals images
test-older: .venv/installed
	@if grep -qs avx512f /proc/cpuinfo; then $(OLDER) $(BIN)/python -m pytest -n 2 --dist loadfile \
		-m "not extended and not wheel and not slow" $(NUMERIC:%=paris_assets_tests/%); \
	else echo "a CPU without AVX-512: what make test has shown already"; fi

# MDS files against mosaicml-streaming itself, which is installed into data/runs/.streaming (70 MB, from the package index).
test-streaming: .venv/installed
	$(BIN)/python -m paris_assets_tests.streaming

# Exports for Megatron-Energon against the library itself, which is installed into data/runs/.energon (from the package index).
test-energon: .venv/installed
	$(BIN)/python -m paris_assets_tests.energon

# What signals cost beside decoding, compiled for this CPU and for one without AVX-512.
HASWELL := NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2,+fma,+bmi2 NUMBA_CACHE_DIR=data/runs/.numba-haswell
bench-signals: .venv/installed
	$(BIN)/python -m paris_assets_tests.benchmarks.bench_signals
	$(OLDER) $(HASWELL) $(BIN)/python -m paris_assets_tests.benchmarks.bench_signals

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
	@echo "installing $$(grep -c '==' requirements.lock) packages of requirements.lock into .venv: about 3 GB on disk," \
		"half of it torch; minutes, by the network"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --progress-bar off --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv data/runs
