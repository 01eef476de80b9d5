# The two commands of a newcomer are `make run` and `make test`; the rest is for who changes things.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run dev test quick check fix bench bench-peer contract lock install install-test install-check broker

run: install broker
	@$(BIN)/kommunevert demo

# The hub, started anew after each change of Python, words or configuration; templates, styles and scripts count at the
# next page. `make dev CONFIG=FILE` for a hub of your own, with `WATCH=FOLDER` for plugins that lie elsewhere.
HUB := $(if $(CONFIG),$(BIN)/kommunevert run --config $(CONFIG),$(BIN)/kommunevert demo)

dev: install-check broker
	@PATH="$(CURDIR)/$(BIN):$$PATH"; node build.mjs --watch & building=$$!; trap "kill $$building" EXIT; \
	  $(BIN)/watchfiles --sigint-timeout 20 --filter hub.toolkit.watching.counts "setsid $(HUB)" hub plugins devices config $(CONFIG) $(WATCH)

# All tests: three at a time, as they wait a lot, then one by one those that measure time. `make test ARGS="tests/test_checkin.py"` runs some.
test: install-check
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@$(BIN)/pytest -n 3 --dist worksteal -m "not alone"
	@$(BIN)/pytest -m alone
endif

# Tests that start no program, no broker and no browser: under a minute. They say it when one does.
quick: install-check
	@$(BIN)/pytest -n 2 --dist worksteal -m quick $(ARGS)

check: install-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m devices.locale.catalogues --check
	$(BIN)/python -m hub.language.catalogues --check
	$(BIN)/python -m devices.contract.typescript --check
	$(BIN)/python -m hub.toolkit.published --check
	PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

# Mends what can be mended without thought, and writes the committed documents anew.
fix: install-check
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .
	@$(MAKE) --no-print-directory contract

bench: install-test
	@$(BIN)/python -m benchmarks $(ARGS)

# Once, for development: the Home Assistant that P1 and P4 measure beside us (the newest that runs on Python 3.11).
bench-peer: .bench/home-assistant/bin/hass

.bench/home-assistant/bin/hass:
	$(PYTHON) -m venv .bench/home-assistant
	.bench/home-assistant/bin/pip install --quiet -r requirements/bench-peer.txt

contract: install-check
	$(BIN)/python -m devices.contract.typescript
	$(BIN)/python -m hub.toolkit.published

lock:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet pip-tools
	@mkdir -p requirements
	for set in run test check; do \
	  KOMMUNEVERT_ASSETS=skip $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --allow-unsafe \
	    --extra demo $$([ $$set = run ] || echo "--extra test") $$([ $$set = check ] && echo "--extra check") \
	    --output-file requirements/$$set.txt pyproject.toml; done

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test
install-check: $(VENV)/.installed-check

SOURCES := pyproject.toml hatch_build.py package-lock.json build.mjs

$(VENV)/.installed: requirements/run.txt $(SOURCES) $(shell find devices hub/web -name '*.ts' -o -name '*.css' -o -name '*.po' -o -name '*.html' 2>/dev/null; find plugins -name '*.ts' -o -name '*.css')
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) …"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/run.txt
	@$(BIN)/pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements/test.txt
	@$(BIN)/pip install --quiet --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.installed-check: $(VENV)/.installed-test requirements/check.txt
	@$(BIN)/pip install --quiet --require-hashes -r requirements/check.txt
	@touch $@

broker:
	@command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || { \
	  echo "Kommunevert needs the MQTT broker Mosquitto; installing Debian's package (once)."; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mosquitto >/dev/null && \
	  { $$SUDO systemctl disable --now mosquitto >/dev/null 2>&1 || true; } || \
	  { echo "That did not work. Install it yourself: apt-get install mosquitto"; exit 1; }; }
