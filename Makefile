# make demo    a sample company on this machine          make test    everything that is checked
# make quick   what is checked in a minute                make bench   speed of the exchange
# make lock    pin the newest packages, with hashes       make clean   away with what was made
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras \
	--no-header --allow-unsafe
CATALOGUES := $(wildcard node/locale/*/LC_MESSAGES/*.po)

.PHONY: demo test quick bench lock clean setup check

demo: .venv/.installed
	@exec $(BIN)/kogge demo

setup: .venv/.installed .venv/.tests

# The browser's driver keeps an event loop of its own running, so its tests have processes of their own.
test: check
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --ignore=tests/browser tests
	$(BIN)/pytest -n $(WORKERS) --dist loadfile tests/browser

quick: check
	$(BIN)/pytest -n $(WORKERS) -m "not slow and not browser" tests/unit

check: .venv/.installed .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: .venv/.installed
	$(BIN)/kogge bench

# setuptools and wheel come first, with hashes like everything else: our own install then needs no network.
.venv/.installed: requirements.txt pyproject.toml $(CATALOGUES)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m node.web.i18n compile
	touch $@

.venv/.tests: requirements-test.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.txt
	touch $@

lock: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(LOCK) --upgrade -o requirements.txt requirements.in
	$(LOCK) --upgrade -o requirements-test.txt requirements-test.in

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f node/locale/*/LC_MESSAGES/*.mo
