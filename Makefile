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

# In a shell that has sourced .local/env the proxies lead to the local cloud only;
# what is installed here comes from elsewhere, by the proxies that the shell had
# before.
ifdef CERTWRIGHT_URL
define outer
ifdef CERTWRIGHT_OUTER_$(1)
export $(1) := $$(value CERTWRIGHT_OUTER_$(1))
else
unexport $(1)
endif
endef
$(foreach name,HTTPS_PROXY https_proxy ALL_PROXY all_proxy NO_PROXY no_proxy,$(eval $(call outer,$(name))))
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

.PHONY: help build package run stop status token tick reset ca ops webhook webhook-check receiver check test test-short quickstart quickstart-js quickstart-go examples \
	conformance bench mutants fmt lint clean localcloud

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: localcloud ## compile everything
	$(GO) build -buildvcs=false ./...

package: ## build dist/app and dist/certwright.zip for Azure
	$(GO) run -buildvcs=false ./scripts/package

run: localcloud ## run the whole local cloud until Ctrl-C; flags in UP, such as UP=-free-ports
	@exec $(LOCALCLOUD) up $(UP)

stop: localcloud ## end the local cloud that runs
	@$(LOCALCLOUD) down

status: localcloud ## say whether a local cloud runs, and where
	@$(LOCALCLOUD) status

token: localcloud ## print a bearer token for curl
	@$(LOCALCLOUD) token

tick: localcloud ## bring a tick of the running vault's timer at once
	@$(LOCALCLOUD) tick

reset: localcloud ## remove certificates, keys and files in .local, for a new start
	@$(LOCALCLOUD) reset

ca: localcloud ## handler ca for the running vault: CA='make -provider Corp -cn "Corp Root"'
	@$(LOCALCLOUD) handler ca $(or $(CA),help)

ops: localcloud ## handler ops for the running vault: OPS='show web'; the board unless set
	@$(AS_CLIENT) .local/app/handler ops $(or $(OPS),list)

webhook: localcloud ## run the sample of a CA behind a webhook, until Ctrl-C
	@exec $(LOCALCLOUD) webhook $(WEBHOOK)

webhook-check: ## check whether an endpoint keeps the webhook's contract; the sample's unless CHECK says another
	@$(GO) run -buildvcs=false ./$(EXAMPLES)/webhook/conformance $(or $(CHECK),-url https://localhost:8446 \
	  -roots .local/files/webhook/roots.pem -secret .local/files/webhook/secret)

receiver: localcloud ## run the sample of an endpoint that takes events, until Ctrl-C
	@exec $(LOCALCLOUD) receiver $(RECEIVER)

check: lint ## run every check that is not a test

# A test that hangs ends its package. One that passed is taken from Go's cache until
# what it reads changes; no target but conformance runs anything again without need.
TIMEOUT := -timeout 20m

test: $(VENV) $(MODULES) ## run every test, from nothing
	$(GO) test $(RACE) $(TIMEOUT) ./...

# Their tests install and start other programs: Azurite, CAs, the official clients.
OUTSIDE := %/handler %/app %/azstore %/acme %/stepca %/e2e %/localcloud %/azurite %/pebble %/webhook/conformance

test-short: ## run the tests that start no other server, without the searches that take minutes
	$(GO) test -short $(TIMEOUT) $(filter-out $(OUTSIDE),$(shell $(GO) list ./...))

conformance: ## run the whole API with all official clients; writes docs/conformance.md
	CERTWRIGHT_CONFORMANCE=1 $(GO) test -count=1 -timeout 30m -v -run '^TestConformance$$' ./scripts/e2e

quickstart: localcloud $(VENV) ## try the running vault with the Python client
	@$(AS_CLIENT) .venv/bin/python $(EXAMPLES)/python/quickstart.py

quickstart-js: localcloud $(MODULES) ## ... with the JavaScript client
	@$(AS_CLIENT) node $(EXAMPLES)/js/quickstart.js

quickstart-go: localcloud ## ... with the Go client
	@$(GO) build -buildvcs=false -o .local/bin/quickstart ./$(EXAMPLES)/go
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
	@test -x $(LOCALCLOUD) || echo "compiling the local cloud: at first a minute, then a moment"
	@$(GO) build -buildvcs=false -o $(LOCALCLOUD) ./scripts/localcloud

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
	@echo "installing the Python clients, once"
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv does not work; on Debian: apt-get install python3-venv"; exit 1; }
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(MODULES): $(EXAMPLES)/js/package-lock.json
	@echo "installing the JavaScript clients, once"
	$(NPM) --prefix $(EXAMPLES)/js ci --no-audit --no-fund --loglevel=error
	@touch $@
