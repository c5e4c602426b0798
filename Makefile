# make demo    see it work: simulated hosts, a VM that moves, and what the QEMUs get
# make test    everything that is checked, lint included
# make lint    formatting, clippy, shellcheck; licences, sources and versions of the crates
# make advisories    known weaknesses of the crates; needs the Internet
# make bench   how fast it is: measures, and writes docs/performance.md
# make rpm     the packages for XCP-ng's dom0
# make capi    the C library, in target/capi
# make miri    the C library's unsafe code, as far as Miri can run it; needs a nightly Rust with Miri

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: demo test lint advisories bench capi miri setup-demo setup-test setup-lint setup-bench

# With --workspace, cargo builds each crate once for all of them: another choice of packages is another choice of features.
demo: setup-demo
	@$(CARGO) build --quiet --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}/debug/demo"

test: lint setup-test
# Most tests wait for something, so there are more at a time than processors.
	RUST_TEST_THREADS=4 $(CARGO) test --quiet --workspace
	@$(MAKE) --no-print-directory test-package

lint: setup-lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --workspace --all-targets -- --deny warnings
	shellcheck hooks/vm-pre-start/* tests/setup/*.sh benches/*.sh capi/*.sh packaging/*.sh packaging/files/put-hook packaging/scriptlets/*.sh packaging/files/*.bash tests/package/*.sh .ci/run
	@deny=$$(sh tests/setup/cargo-deny.sh) && $$deny --locked --workspace check bans licenses sources

# What is known of the crates' weaknesses. It gets the list of them from the Internet, so "make lint" goes without.
advisories:
	@deny=$$(sh tests/setup/cargo-deny.sh) && $$deny --locked --workspace check advisories

bench: setup-bench
	@sh benches/run.sh

capi:
	@sh capi/release.sh

# The tests beside the code: Miri can call neither SQLite nor C programs. They leave handles open; valgrind looks for leaks.
miri:
	MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks" $(CARGO) +nightly miri test --package vgpu-config-capi --lib

setup-demo:
	@sh tests/setup/tools.sh gcc=gcc sqlite3=sqlite3

setup-test:
	@sh tests/setup/tools.sh gcc=gcc python3=python3 npm=npm node=nodejs pip3=python3-pip unshare=util-linux setsid=util-linux \
		prlimit=util-linux setpriv=util-linux script=bsdutils logger=bsdutils dash=dash bash=bash g++=g++ valgrind=valgrind
	@sh tests/setup/sqlite-3.7.17.sh
	@sh tests/setup/clients.sh >/dev/null

setup-lint:
	@sh tests/setup/tools.sh gcc=gcc shellcheck=shellcheck python3=python3 pip3=python3-pip

setup-bench:
	@sh tests/setup/tools.sh gcc=gcc python3=python3 sqlite3=sqlite3 hyperfine=hyperfine /usr/bin/time=time

include packaging/packaging.mk
