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

# What `make lint` runs is built from source, in these versions, once.
TOOLS      := .local/bin
DEADCODE   := golang.org/x/tools/cmd/deadcode@v0.52.0
GOLANGCI   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
tool        = $(TOOLS)/$(subst @,-,$(notdir $(1)))
WORKFLOWS  := $(wildcard .github/workflows/*.yml .github/workflows/*.yaml)

.PHONY: help build package run stop status token check test quickstart quickstart-js quickstart-go examples \
	conformance bench mutants fmt lint clean localcloud

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

check: lint ## run every check that is not a test

test: $(VENV) $(MODULES) ## run every test, from nothing
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

mutants: ## change the vault in small ways and see that tests notice; see docs/mutants.md
	$(GO) run ./scripts/mutants

fmt: ## format the Go sources
	gofmt -w handler scripts

lint: $(call tool,$(DEADCODE)) $(call tool,$(GOLANGCI)) $(if $(WORKFLOWS),$(call tool,$(ACTIONLINT))) ## report what is not formatted, suspicious or unused
	@test -z "$$(gofmt -l handler scripts | tee /dev/stderr)"
	$(GO) vet ./...
	$(call tool,$(GOLANGCI)) run ./...
	@unused=$$($(call tool,$(DEADCODE)) -test ./...) && test -z "$$unused" || { echo "$$unused"; exit 1; }
	$(if $(WORKFLOWS),$(call tool,$(ACTIONLINT)) $(WORKFLOWS))

clean: ## remove everything that was built or installed; keeps keys and data
	rm -rf dist .venv $(EXAMPLES)/js/node_modules .local/bin .local/app .local/azurite .local/tools .local/schemathesis
	rm -rf scripts/e2e/clients/*/.venv scripts/e2e/clients/*/node_modules scripts/e2e/clients/*/target

localcloud:
	@mkdir -p -m 700 .local
	@$(GO) build -o $(LOCALCLOUD) ./scripts/localcloud

# A tool's file name has its version, so that a new version is a new file.
$(TOOLS)/deadcode-%:
	$(call install,$(DEADCODE))
$(TOOLS)/golangci-lint-%:
	$(call install,$(GOLANGCI))
$(TOOLS)/actionlint-%:
	$(call install,$(ACTIONLINT))

# The go command checks what it downloads against the checksum database.
define install
	@mkdir -p -m 700 .local
	@echo "building $(1), once" && GOBIN=$(CURDIR)/.local/tools/build GOFLAGS= CGO_ENABLED=0 $(GO) install $(1)
	@mkdir -p $(TOOLS) && mv .local/tools/build/$(notdir $(firstword $(subst @, ,$(1)))) $@
endef

$(VENV): $(EXAMPLES)/python/requirements.txt
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv does not work; on Debian: apt-get install python3-venv"; exit 1; }
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(MODULES): $(EXAMPLES)/js/package-lock.json
	$(NPM) --prefix $(EXAMPLES)/js ci --no-audit --no-fund --loglevel=error
	@touch $@
