# Moongate. `make help` explains the targets. Everything made lies in build/<mode>/; nothing else is written to.

MODE   ?= release
PREFIX ?= /usr/local
# All processors, unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
# make V=1 shows whole commands
Q := $(if $(V),,@)
CC     ?= gcc
B      := build/$(MODE)

# --- modes -----------------------------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
flags_release := -O2 -g -fno-plt -fno-semantic-interposition
# The binary is optimised across rooms; tests link the plain half of the objects, which takes a tenth of the time.
lto_release   := $(if $(findstring clang,$(CC)),,-flto=2 -ffat-lto-objects)
LTO            = $(lto_$(MODE))
# Tests start the sanitized binary thousands of times: at its own address it need not be relocated, which is a third of a start.
place_asan    := -no-pie
flags_debug   := -O0 -g3 -DMG_DEBUG
flags_asan    := -O1 -g1 -DMG_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Unit tests run for less time than their compiler does: theirs are not optimised, what they test is.
tests_asan    := -O0
flags_fuzz    := -O1 -g1 -DMG_DEBUG -fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer
ifeq ($(MODE),fuzz)
CC := clang
endif
ifeq ($(filter $(MODE),release debug asan fuzz),)
$(error MODE=$(MODE): allowed are release, debug, asan, fuzz)
endif
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread $(WARN) $(flags_$(MODE)) -Isrc $(CFLAGS)

# --- what there is ---------------------------------------------------------------------------------------------------
ROOMS   := gate testkit lua config proxy live store client server http event base
LIBS    := $(ROOMS:%=$(B)/lib%.a) $(B)/libllhttp.a
SOURCES := $(wildcard $(ROOMS:%=src/%/*.c))
HEADERS := $(wildcard $(ROOMS:%=src/%/*.h))
LUA     := $(shell find lua spec tests conf -name '*.lua' 2>/dev/null)
UNITS   := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/*_test.c))
# What fuzzers are linked with: two rooms, and of others only these files, since most of those that a build would make
# are linked nowhere. A fuzzer that lacks a symbol wants its file added here.
FUZZED  := http base
FUZZED_FILES := event/dns_head proxy/circuit proxy/outlier proxy/shared proxy/state proxy/verdict store/cache_shard \
                store/libpq store/memory_cache store/migration store/postgres_array store/postgres_migrate \
                store/postgres_scan store/postgres_settings store/redis_codec store/redis_scan store/redis_slots \
                gate/status_text gate/status_upstreams gate/status_certificates
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
DEPS    := $(B)/deps.mk.done
LINK     = $$(cat $(B)/link.flags) -lm -ldl
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all run test check unit spec integration endurance fuzz bench docs fresh install uninstall clean help \
        format lint asan-binary fuzzers units

all: $(B)/moongate $(B)/moongate.so ## build build/moongate (MODE=release, debug, asan or fuzz)
ifeq ($(MODE),release)
	@ln -sf release/moongate build/moongate && ln -sf release/moongate.so build/moongate.so
endif

help: ## this page
	@echo "make TARGET [MODE=release|debug|asan|fuzz]"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do \
	  printf '  %-14s%s\n' "$$t" "$$d"; done

# --- packages: asked for once for each build folder -------------------------------------------------------------------
build/packages-%: tests/setup/packages.sh
	@mkdir -p build && tests/setup/packages.sh $* && touch $@

# Compiler and linker flags of the libraries, found when a recipe first needs them, never while this file is read.
$(DEPS): tests/setup/flags.sh | build/packages-build
	@mkdir -p $(B) && tests/setup/flags.sh $(B) && touch $@

# What a compiler said of a file lies beside its object: `make check` wants nothing there (tests/lint/check.sh).
# --- objects ---------------------------------------------------------------------------------------------------------
$(B)/obj/%.o: src/%.c $(DEPS) Makefile
	@mkdir -p $(@D)
	@echo "  CC    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LTO) $$(cat $(B)/compile.flags) -MMD -MP -c $< -o $@ 2>$@.said; \
	  status=$$?; cat $@.said >&2; exit $$status

define room
$(B)/lib$(1).a: $(patsubst src/%.c,$(B)/obj/%.o,$(filter src/$(1)/%.c,$(SOURCES)))
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room,$(r))))

# A system libllhttp (9.2 or later) is linked if there is one, else the sources of Debian's node-llhttp are compiled, strict.
$(B)/libllhttp.a: $(DEPS)
	@mkdir -p $(B)/obj/llhttp && rm -f $@
	@for f in $$(cat $(B)/llhttp.sources); do \
	  $(CC) $(filter-out $(WARN),$(CFLAGS_ALL)) $(LTO) -w -DLLHTTP_STRICT_MODE=1 $$(cat $(B)/compile.flags) \
	    -c $$f -o $(B)/obj/llhttp/$$(basename $$f .c).o || exit 1; done
	@ar rcs $@ $$(ls $(B)/obj/llhttp/*.o 2>/dev/null)

$(B)/moongate: $(LIBS)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LTO) $(place_$(MODE)) -rdynamic -o $@ -Wl,--whole-archive $(B)/libgate.a -Wl,--no-whole-archive $(LIBS) $(LINK)

# The same objects as a module for `busted` under a plain LuaJIT, which brings the Lua symbols itself. Plain: specs are no production.
$(B)/moongate.so: $(LIBS)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(LTO),-fno-lto) -shared -o $@ -Wl,--whole-archive $(B)/libtestkit.a -Wl,--no-whole-archive $(LIBS) \
	  $$(sed 's/-lluajit-5.1//' $(B)/link.flags) -lm -ldl

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# --- run and test ----------------------------------------------------------------------------------------------------
run: all ## build and serve the sample app on port 8080 (LISTEN="127.0.0.1:9000 [::1]:9000": there)
	@build/moongate migrate && build/moongate run $(LISTEN:%=--listen %)

test: build/packages-test ## unit tests, specs, integration, fuzz, with sanitizers; specs and some of integration plain too
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory MODE=asan build/asan/moongate units
	@$(MAKE) --no-print-directory fuzzers
	@tests/run.sh all

unit: build/packages-test ## unit tests (MODE=asan for sanitizers, as in `make test`)
	@$(MAKE) --no-print-directory units
	@tests/run.sh unit $(MODE)

spec: build/packages-test all ## busted specs, plain and inside moongate
	@tests/run.sh spec $(MODE)

integration: build/packages-test all ## black-box tests of the binary
	@tests/run.sh integration $(MODE)

# 100,000 requests to a server that closes at random; a minute of faults, reloads and killed workers, and of a chat in
# them; 100 reloads of 10,000 certificates; 10,000 clients that leave PostgreSQL's statements, a million rows; Redis
# killed and frozen under load, a loaded Redis Cluster.
endurance: build/packages-test all ## the tests of `make integration` that have a long form, in it (some 40 minutes)
	@ENDURANCE_GETS=100000 PROXY_STORM_SECONDS=60 CHAT_STORM_SECONDS=60 ENDURANCE_CERTIFICATES=10000 \
	  ENDURANCE_RELOADS=100 POSTGRES_VICTIMS=10000 POSTGRES_ROWS=1000000 REDIS_ROUNDS=2000 FLEET_SECONDS=30 \
	  busted --run=integration $(addprefix tests/integration/,$(addsuffix _spec.lua,proxy_stale proxy_storm \
	  chat_storm tls_many postgres_storm postgres_streams redis_storm fleet))

fuzz: build/packages-test fuzzers ## run each fuzzer for a bounded time (FUZZ_SECONDS=, default 1)
	@tests/run.sh fuzz

docs: all ## the reference in build/docs: html/index.html, markdown/, man/
	@build/moongate docs build/docs

bench: build/packages-bench all ## measure against peers (see tests/bench/README.md)
	@tests/bench/run.sh

fresh: ## `make run` and `make test` on a bare Debian 12 in build/fresh (as root; needs debootstrap)
	@tests/setup/fresh.sh

units: $(UNITS:%=$(B)/unit/%)
fuzzers: build/packages-test
	@$(MAKE) --no-print-directory MODE=fuzz $(FUZZERS) /dev/null

# One program, called by many names (tests/unit/run.c).
$(UNITS:%=$(B)/unit/%): | $(B)/units
	@mkdir -p $(@D) && ln -sf ../../units $@

$(B)/units: $(UNITS:%=$(B)/obj/unit/%.o) $(B)/obj/unit/run.o $(LIBS)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(LTO),-fno-lto) $(place_$(MODE)) -o $@ $^ -lcmocka $(LINK)

$(B)/obj/unit/%.o: tests/unit/%.c $(DEPS) Makefile
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(tests_$(MODE)) $(if $(findstring _test,$@),-Wno-missing-prototypes -Dmain=$(subst /,_,$*)) \
	  $$(cat $(B)/compile.flags) -Itests/unit -I$(B)/obj/unit -MMD -MP -c $< -o $@

$(B)/obj/unit/run.o: $(B)/obj/unit/unit_tests.inc

$(B)/obj/unit/unit_tests.inc: $(wildcard tests/unit/*/*_test.c)
	@mkdir -p $(@D)
	@printf 'TEST("%s", %s)\n' $(foreach t,$(UNITS),$(t) $(subst /,_,$(t))) >$@

# What valgrind counts the instructions of (tests/bench/count/run.sh). It lies where it finds the Lua files.
$(B)/count: $(wildcard tests/bench/count/*.[ch]) $(LIBS)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $$(cat $(B)/compile.flags) -rdynamic -o $@ $(filter %.c,$^) $(LIBS) $(LINK)

# They compare with libraries that nothing else needs.
build/fuzz/fuzz/ws_frame_fuzz: LINK += -lwslay
build/fuzz/fuzz/h2_nghttp2_fuzz build/fuzz/fuzz/h2_decode_fuzz: LINK += -lnghttp2

$(B)/libfuzzed.a: $(FUZZED_FILES:%=$(B)/obj/%.o)
	@rm -f $@ && ar rcs $@ $^

build/fuzz/fuzz/%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h) $(B)/libfuzzed.a $(FUZZED:%=$(B)/lib%.a) $(B)/libllhttp.a
	@mkdir -p $(@D)
	@echo "  FUZZ  $@"
	$(Q)clang $(CFLAGS_ALL) -fsanitize=fuzzer $$(cat $(B)/compile.flags) -Itests/fuzz -o $@ $(filter-out %.h,$^) $(LINK)

# --- order -----------------------------------------------------------------------------------------------------------
check: build/packages-test ## formatting, lints, the rooms' include rule, warnings as errors with gcc and clang
	@tests/lint/check.sh

format: build/packages-test ## rewrite C files with clang-format
	@clang-format -i $(SOURCES) $(HEADERS) $(shell find tests -name '*.[ch]' 2>/dev/null)

# --- install ---------------------------------------------------------------------------------------------------------
install: all ## install below PREFIX (DESTDIR= for packagers)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/moongate $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(B)/moongate $(DESTDIR)$(PREFIX)/bin/moongate
	cd lua && find moongate -type f -exec install -D -m 644 {} $(abspath $(DESTDIR)$(PREFIX))/share/moongate/lua/{} \;
	install -d $(DESTDIR)$(PREFIX)/share/lua/5.1 $(DESTDIR)$(PREFIX)/lib/lua/5.1
	ln -sfn ../../moongate/lua/moongate $(DESTDIR)$(PREFIX)/share/lua/5.1/moongate
	install -m 644 $(B)/moongate.so $(DESTDIR)$(PREFIX)/lib/lua/5.1/moongate.so
	$(B)/moongate docs $(B)/docs >/dev/null && $(B)/moongate docs --types >$(B)/docs/moongate.d.ts
	install -m 644 $(B)/docs/moongate.d.ts $(DESTDIR)$(PREFIX)/share/moongate/moongate.d.ts
	for page in moongate.1 moongate.conf.5 moongate.lua.7; do \
	  install -D -m 644 $(B)/docs/man/$$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$page; done
	sed 's|@PREFIX@|$(PREFIX)|g' conf/moongate.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/moongate.service

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/moongate $(DESTDIR)$(PREFIX)/lib/systemd/system/moongate.service
	rm -rf $(DESTDIR)$(PREFIX)/share/moongate $(DESTDIR)$(PREFIX)/share/lua/5.1/moongate
	rm -f $(DESTDIR)$(PREFIX)/lib/lua/5.1/moongate.so
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/,man1/moongate.1 man5/moongate.conf.5 man7/moongate.lua.7)

clean: ## remove build/
	rm -rf build
