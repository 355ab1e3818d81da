# SPDX-License-Identifier: BSD-2-Clause
#
# The front door: each target calls Meson or a script, which does the work.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
MINUTES ?= 10
SEED ?=
KILL ?=
CONFIG = /etc/cm4all/qrelay/config.lua

SETUP = test/tools/setup

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@$(SETUP) --list build || \
		{ echo "'make setup' installs what is missing" >&2; exit 1; }
	meson setup --prefix=$(PREFIX) $(BUILD)

setup:
	@$(SETUP) build

demo: setup
	@$(MAKE) --no-print-directory all
	@QRELAY_BUILD=$(BUILD) demo/run

check:
	@$(SETUP) check
	@test/tools/check

coverage:
	@$(SETUP) coverage
	@test/tools/coverage

docs:
	@$(SETUP) docs
	@test/tools/docs $(BUILD)-docs

bench:
	@$(SETUP) bench
	@$(MAKE) --no-print-directory all
	@bench/run

soak:
	@$(SETUP) check
	@$(MAKE) --no-print-directory all
	@QRELAY_BUILD=$(BUILD) test/soak/run --minutes $(MINUTES) \
		$(if $(SEED),--seed $(SEED)) $(if $(KILL),--kill)

install: $(BUILD)/build.ninja
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	DESTDIR="$(DESTDIR)" meson install -C $(BUILD)
	@[ -e "$(DESTDIR)$(CONFIG)" ] || echo "$(CONFIG) may not be written:" \
		"start cm4all-qrelay with --config"

deb:
	@$(SETUP) deb
	@dist/make-deb

format:
	@test/tools/format --write

clean:
	rm -rf build build-docs build-gcc build-clang build-asan build-deb \
		build-bench build-bench-idle build-coverage

distclean: clean
	rm -rf .cache

help:
	@echo 'make            build into $(BUILD)/'
	@echo 'make demo       install what lacks, build, relay one mail and show it'
	@echo 'make check      install what lacks, run every test (ten minutes or more)'
	@echo 'make coverage   install what lacks, count the lines that tests reach (ten minutes)'
	@echo 'make docs       install what lacks, build the manual into $(BUILD)-docs/'
	@echo 'make install    PREFIX=/usr/local DESTDIR='
	@echo 'make deb        install what lacks, build Debian packages into build-deb/'
	@echo 'make bench      install what lacks, measure against the floor and HAProxy'
	@echo 'make soak       install what lacks, load and disturb the daemon for MINUTES=10; SEED= KILL=1'
	@echo 'make setup      install what building needs, nothing else'
	@echo 'make format     clang-format all C files in place'
	@echo 'make clean      remove the builds; distclean: the fetched peers too'

.PHONY: all setup demo check coverage docs bench soak install deb format clean distclean help
