# What a developer and CI run, on Linux and macOS; the README lists the same steps for Windows.
#   make setup   the environment in .venv, made again only when the lock or pyproject.toml has changed
#   make run     a practice day on a synthetic market: engine :8700, control app :8501, simulator :8800
#   make test    everything that CI checks
#   make prove   the order path by seed, by kills and with planted bugs; results in data/proof
#   make bench   the speeds that we promise, as JSON lines
#   make coverage  how much of the product the tests walk through, by branches, with the bounds that we hold
PYTHON ?= python3
BIN := .venv/bin
# Whatever the shell says: hundreds of processes start in a test run, and each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
LOCKED := .venv/.locked
INSTALLED := .venv/.installed

# The first ones are the manual and run from top to bottom; reports are templates that want a day's export.
MANUAL := $(sort $(wildcard notebooks/*.ipynb))
NOTEBOOKS := $(MANUAL) $(sort $(wildcard notebooks/*/*.ipynb))
STRIP := --keep-id --extra-keys "metadata.papermill cell.metadata.papermill cell.metadata.execution metadata.widgets"

.PHONY: setup run test prove bench coverage lint types imports stripped unit notebooks strip clean

setup: $(INSTALLED)

$(LOCKED): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(0 if sys.version_info >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {v}: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv --clear .venv
	@echo "installing into .venv: some minutes, 1.7 GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup
	$(BIN)/workbench up --mode practice --seed 7 --speed 60

# The quick ones first; then what takes minutes, two at a time: tests wait for sockets and clocks a good part of theirs.
test: setup lint imports stripped
	@$(MAKE) --no-print-directory -j 2 unit types notebooks

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-logo

stripped: setup
	$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify $(STRIP) $(NOTEBOOKS))

unit: setup
	$(BIN)/python -m pytest -q -p no:nbval -n 3 --dist loadfile --no-loadscope-reorder

notebooks: setup
	$(if $(MANUAL),$(BIN)/python -m pytest -q -n 2 --dist loadfile --timeout 600 --nbval-lax --nbval-current-env $(MANUAL))

strip: setup
	$(if $(NOTEBOOKS),$(BIN)/nbstripout $(STRIP) $(NOTEBOOKS))

prove: setup
	$(BIN)/workbench prove --seeds 1000 --kills 60 --out data/proof
	$(BIN)/workbench prove --planted

bench: setup
	$(BIN)/python -m tests.bench

coverage: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --cov=workbench --cov-branch --cov-report=
	$(BIN)/coverage report --include='workbench/core/*' --fail-under=95
	$(BIN)/coverage report --include='workbench/live/*,workbench/brokers/*,workbench/storage/*' --fail-under=90

clean:
	rm -rf .venv build dist workbench.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov .coverage
