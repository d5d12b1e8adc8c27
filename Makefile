# `make` lists what can be done. Everything generated lands in ignored folders:
# .local, dist, .venv and node_modules.

GO     ?= go
PYTHON ?= python3
NPM    ?= npm

LOCALCLOUD := .local/bin/localcloud
EXAMPLES   := scripts/examples
VENV       := .venv/installed
MODULES    := $(EXAMPLES)/js/node_modules/.package-lock.json

# Where no C compiler is installed there is no race detector.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)

# In a shell that has sourced .local/env the proxy leads to the local cloud only;
# what is installed here comes from elsewhere.
ifdef CERTWRIGHT_URL
unexport HTTPS_PROXY https_proxy
endif

# Runs a program in the settings of the local cloud that runs.
AS_CLIENT = $(LOCALCLOUD) status >/dev/null && . .local/env &&

.PHONY: help build package run stop status token test quickstart quickstart-js quickstart-go examples \
	conformance bench fmt lint clean localcloud

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: localcloud ## compile everything
	$(GO) build ./...

package: ## build dist/app and dist/certwright.zip for Azure
	$(GO) run ./scripts/package

run: localcloud ## run the whole local cloud until Ctrl-C; flags in UP, such as UP=-free-ports
	@exec $(LOCALCLOUD) up $(UP)

stop: localcloud ## end the local cloud that runs
	@$(LOCALCLOUD) down

status: localcloud ## say whether a local cloud runs, and where
	@$(LOCALCLOUD) status

token: localcloud ## print a bearer token for curl
	@$(LOCALCLOUD) token

test: $(VENV) $(MODULES) ## run every check and test, from nothing
	$(GO) vet ./...
	$(if $(RACE),$(GO) test -run 'Interleav|Year' ./handler/internal/vault) # in full; the race detector leaves time for samples only
	$(GO) test $(RACE) ./...

conformance: ## run the whole API with all official clients; writes docs/conformance.md
	CERTWRIGHT_CONFORMANCE=1 $(GO) test -count=1 -timeout 30m -v -run '^TestConformance$$' ./scripts/e2e

quickstart: localcloud $(VENV) ## try the running vault with the Python client
	@$(AS_CLIENT) .venv/bin/python $(EXAMPLES)/python/quickstart.py

quickstart-js: localcloud $(MODULES) ## ... with the JavaScript client
	@$(AS_CLIENT) node $(EXAMPLES)/js/quickstart.js

quickstart-go: localcloud ## ... with the Go client
	@$(GO) build -o .local/bin/quickstart ./$(EXAMPLES)/go
	@$(AS_CLIENT) .local/bin/quickstart

examples: quickstart quickstart-js quickstart-go ## all three

bench: ## measure the handler
	$(GO) test -run '^$$' -bench . -benchmem ./handler/...

fmt: ## format the Go sources
	gofmt -w handler scripts

lint: ## report what is not formatted or suspicious
	@test -z "$$(gofmt -l handler scripts | tee /dev/stderr)"
	$(GO) vet ./...

clean: ## remove everything that was built or installed; keeps keys and data
	rm -rf dist .venv $(EXAMPLES)/js/node_modules .local/bin .local/app .local/azurite .local/tools .local/schemathesis
	rm -rf scripts/e2e/clients/*/.venv scripts/e2e/clients/*/node_modules scripts/e2e/clients/*/target

localcloud:
	@mkdir -p -m 700 .local
	@$(GO) build -o $(LOCALCLOUD) ./scripts/localcloud

$(VENV): $(EXAMPLES)/python/requirements.txt
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv does not work; on Debian: apt-get install python3-venv"; exit 1; }
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(MODULES): $(EXAMPLES)/js/package-lock.json
	$(NPM) --prefix $(EXAMPLES)/js ci --no-audit --no-fund --loglevel=error
	@touch $@
