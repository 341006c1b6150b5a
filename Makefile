# `make run` starts the whole mesh and shows what it does; `make test` proves that it works.

CARGO ?= cargo
LEPTON = target/release/lepton

.PHONY: run build test fmt lint clean-demo

## Builds, starts the mesh in the foreground and runs a short demo against it. Ctrl-C stops it.
run: build
	@deploy/demo/run $(LEPTON)

build:
	@deploy/setup build
	$(CARGO) build --release --locked --bins

## Installs what the tests need and runs all of them.
test:
	@deploy/setup test
	$(CARGO) build --workspace --locked --bins
	$(CARGO) test --workspace --locked

fmt:
	$(CARGO) fmt --all

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
