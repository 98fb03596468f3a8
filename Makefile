# Clew: a node agent that traces the HTTP traffic of unmodified programs.
# `make` alone lists what can be made.

SHELL   := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
IMAGE   ?= clew:$(VERSION)
ARGS    ?=
GO      ?= go
# -short builds for fewer versions of Go, which takes minutes each.
TESTFLAGS ?=
# The container builder: the first that is there and answers.
BUILDER ?= $(shell for b in docker podman buildah; do $$b info >/dev/null 2>&1 && echo $$b && break; done)
CACHE   := $(CURDIR)/.cache
LDFLAGS := -s -w -X main.version=$(VERSION)
C_FILES  = $(shell find bpf -name '*.c' -o -name '*.h' | grep -v vmlinux)
UNITS    = ./cmd/... ./context/... ./export/... ./probes/...

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # packages come before what needs them

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build the static binary bin/clew
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/clew ./cmd/agent

.PHONY: run
run: go build ## build the agent, with Go if it is missing, and trace this machine (needs root; ARGS="-o json" passes flags)
	bin/clew $(ARGS)

.PHONY: go
go:
	@test/install go

.PHONY: demo
demo: packages build ## a few small services, traced on the console, gone with Ctrl-C
	test/demo/run $(ARGS)

.PHONY: install
install: ## install what building and testing need (Debian packages, cached tools)
	test/install

.PHONY: packages
packages:
	test/install packages

# What is quick comes first. The last line has the machine to itself, package by
# package: there whole programs run, and the agent sees real traffic.
.PHONY: test
test: packages build ## install what is missing, then run all tests (needs root)
	$(GO) test -race -count=1 $(TESTFLAGS) $(UNITS)
	$(GO) -C test/deploy test -count=1 ./...
	test/install
	$(GO) test -count=1 -p 1 -timeout 30m $(TESTFLAGS) ./test/...

.PHONY: test-kernels
test-kernels: ## load and trace on other kernels under QEMU (SERIES="6.1 6.12" chooses)
	test/kernels/run $(SERIES)

.PHONY: lint
lint: $(CACHE)/golangci-lint ## linters for Go, C and the layout of the house
	$(CACHE)/golangci-lint run
	clang-format-19 --dry-run --Werror $(C_FILES)
	.ci/laws

.PHONY: fmt
fmt: ## format Go and C
	gofmt -w $$(git ls-files -co --exclude-standard '*.go' | xargs grep -L '^// Code generated')
	clang-format-19 -i $(C_FILES)

.PHONY: generate
generate: ## rebuild the BPF objects and their Go bindings (needs clang-19)
	$(GO) generate ./probes

.PHONY: bench
bench: packages build ## cost in the traced programs: see docs/performance.md
	test/bench/run $(ARGS)

.PHONY: image
image: ## build the container image with docker, podman or buildah
	@test -n "$(BUILDER)" || { echo "make image: no docker, podman or buildah that answers" >&2; exit 1; }
	$(BUILDER) build --build-arg VERSION=$(VERSION) $(if $(GO_IMAGE),--build-arg GO_IMAGE=$(GO_IMAGE)) -t $(IMAGE) .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin $(CACHE)

$(CACHE)/golangci-lint: .ci/tools/go.mod
	@mkdir -p $(CACHE)
	$(GO) -C .ci/tools build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
