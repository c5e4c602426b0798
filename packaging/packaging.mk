# The package: included by the Makefile.

.PHONY: rpm test-package setup-package

# The RPM for dom0, in target/.
rpm:
	@sh packaging/build-rpm.sh

# Installs, upgrades and removes the RPM in scratch roots; dnf and rpm need root for that.
# "cargo clippy --all-targets" skips a test that does not run by default, so it is linted here.
test-package: setup-package
	$(CARGO) clippy --quiet --workspace --test package -- --deny warnings
	$(CARGO) test --quiet --workspace --test package

setup-package:
	@if [ "$$(id -u)" != 0 ]; then echo "The package is tested as root: sudo make test-package" >&2; exit 1; fi
	@sh tests/setup/tools.sh gcc=gcc python3=python3 npm=npm rpm=rpm dnf=dnf createrepo_c=createrepo-c rpmlint=rpmlint \
		rsyslogd=rsyslog logrotate=logrotate gpg=gpg gpg-agent=gpg-agent sqlite3=sqlite3 dash=dash bash=bash \
		busybox=busybox-static
	@sh tests/setup/sqlite-3.7.17.sh
