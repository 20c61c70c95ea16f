# The C side on its own: library, server, tests, and the same under sanitizers.
#   make lib            build/release/lib/libishow.so.0 (the core and the interpreter of $(PYTHON))
#   make server         build/release/ishowtts-server
#   make test           cmocka tests of every module
#   make asan / tsan    the same tests under ASan+UBSan / TSan
#   make fuzz           each fuzzer of tests/fuzz for FUZZ_SECONDS (libFuzzer, so it needs clang)
#   make lint           form of the source: clang-format, ruff, mypy
#   make headers        headers compile alone as C99 -pedantic
#   make ext            extension modules, build/release/ext/
#   make install        library, header, server and Python package under $(DESTDIR)$(PREFIX)
# A new .c file in a module, or tests/c/test_*.c, needs no list edited.

PYTHON  ?= .venv/bin/python
VARIANT ?= release
CLANG   := $(firstword $(shell command -v clang clang-14 clang-18 2>/dev/null))
FUZZ_SECONDS ?= 10
BUILD   := build/$(VARIANT)
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
version_of = $(shell sed -n 's/^.define ISHOW_VERSION_$1 //p' include/ishow.h)
SOVERSION := $(call version_of,MAJOR)
VERSION := $(SOVERSION).$(call version_of,MINOR).$(call version_of,PATCH)

CC      ?= cc
WARN    := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror
CFLAGS  ?= -O2 -g
# Reports of sanitizers need lines only: compiling and linking with -g1 takes a fifth less time than with -g. ASan's
# objects take a quarter less with -Og than with -O1; TSan's as well, but its tests lose most of that again.
ifeq ($(VARIANT),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -Og -g1
else ifeq ($(VARIANT),tsan)
SAN := -fsanitize=thread -O1 -g1
else ifeq ($(VARIANT),fuzz)
CC  := $(CLANG)
SAN := -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow -fno-sanitize-recover=all -O1 -Wno-unknown-pragmas
else ifeq ($(VARIANT),cover)
CC  := $(CLANG)
SAN := -fsanitize=fuzzer-no-link -O0 -Wno-unknown-pragmas
endif
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

# Hardening, of what is shipped only: sanitizers check more, and FORTIFY hides from them what it wraps. Objects of
# programs are position-independent like those of the library; branches are protected where the processor can check them.
ifeq ($(VARIANT),release)
BRANCHES := $(if $(filter x86_64,$(MACHINE)),-fcf-protection=full,$(if $(filter aarch64,$(MACHINE)),-mbranch-protection=standard))
HARDEN   := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection $(BRANCHES)
HARD_LD  := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
PIE      := -pie
endif

PKGS     := sndfile soxr kissfft-float jansson libcurl libcrypto zlib libbrotlidec sqlite3 libutf8proc flac libopusenc
CPPFLAGS += -Iinclude -Icsrc $(shell pkg-config --cflags $(PKGS))
CORE_LIBS := -Wl,--as-needed $(shell pkg-config --libs $(PKGS)) -lmp3lame -lflite_usenglish -lflite_cmulex -lflite -lwslay -ldl -lpthread -lm
PY_CFLAGS  = $(shell $(PYTHON) scripts/build_flags.py cflags)
PY_LIBS    = $(shell $(PYTHON) scripts/build_flags.py embed)
PY_LIBRARY = $(shell $(PYTHON) scripts/build_flags.py library)
SERVER_LIBS := $(shell pkg-config --libs libmicrohttpd libcrypto)

MODULES   := base audio cache flow text kernels model engine net chat platforms store service cluster
CORE    := $(wildcard $(MODULES:%=csrc/%/*.c))
BRIDGE  := $(wildcard csrc/bridge/*.c)
PYEXT   := $(wildcard csrc/pyext/_*.c)
PYPARTS := $(filter-out $(PYEXT),$(wildcard csrc/pyext/*.c))
SERVER  := $(filter-out csrc/server/main.c,$(wildcard csrc/server/*.c))
TESTS   := $(wildcard tests/c/test_*.c)
HELPERS := $(filter-out $(TESTS),$(wildcard tests/c/*.c))
HEADERS := include/ishow.h $(wildcard $(foreach m,$(MODULES) bridge server,csrc/$m/$m.h)) $(addprefix csrc/,base/span.h chat/message.h base/defaults.h text/phones.h store/journal.h store/voice_store.h)
obj      = $(1:%.c=$(BUILD)/%.o)

.PHONY: all lib server ext tests test asan tsan headers install clean
all: lib server ext
LIB := $(BUILD)/lib/libishow.so.$(SOVERSION)
lib: $(LIB)
server: $(BUILD)/ishowtts-server
EXT_SUFFIX = $(shell $(PYTHON) scripts/build_flags.py suffix)
ext: $(PYEXT:csrc/pyext/%.c=$(BUILD)/ext/%$(EXT_SUFFIX))
tests: $(TESTS:tests/c/%.c=$(BUILD)/tests/%)

# Tests replace functions of libraries (a disk that fails, the leak checker's exceptions), which must be seen outside.
VISIBILITY = -fvisibility=hidden
$(BUILD)/tests/%.o: VISIBILITY =

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) $(SAN) $(HARDEN) $(EXTRA) $(PEDANTIC) -fPIC $(VISIBILITY) -MMD -MP -c $< -o $@

# The interpreter's slot tables hold functions as void *, which ISO C does not have.
$(call obj,$(PYEXT) $(PYPARTS)): PEDANTIC = -Wno-pedantic
$(call obj,$(BRIDGE) $(PYEXT) $(PYPARTS)): EXTRA = $(PY_CFLAGS) -DISHOW_PYTHON='"$(abspath $(PYTHON))"'

# One core in a process: programs and extension modules share this library. It lies beside them or one folder above, in the build folder, in a
# wheel and in an installed tree alike. Symbols of the interpreter come from the process, or else from libpython.
$(LIB): $(call obj,$(CORE) $(BRIDGE))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(SAN) $(HARD_LD) -shared -Wl,-soname,$(@F) -o $@ $^ $(CORE_LIBS) $(PY_LIBRARY)
	ln -sf $(@F) $(BUILD)/lib/libishow.so
LINK_LIB := -L$(BUILD)/lib -lishow -Wl,-rpath,'$$ORIGIN/lib:$$ORIGIN/../lib:$$ORIGIN/../..'

# Unit tests link archives of the same objects, since they test what the library does not export.
$(BUILD)/libishow.a: $(call obj,$(CORE))
	rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/libishow_bridge.a: $(call obj,$(BRIDGE))
	rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/libishow_server.a: $(call obj,$(SERVER))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/ishowtts-server: $(call obj,csrc/server/main.c) $(BUILD)/libishow_server.a $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) $(SAN) $(HARD_LD) $(PIE) -o $@ $(filter-out $(LIB),$^) $(LINK_LIB) $(CORE_LIBS) $(SERVER_LIBS) $(PY_LIBS)

# What is no module itself is a part of one, which takes it from this archive.
$(BUILD)/libishow_pyparts.a: $(call obj,$(PYPARTS))
	rm -f $@ && $(AR) rcs $@ $^

# Extension modules take the interpreter's symbols from the program that loads them.
$(BUILD)/ext/%$(EXT_SUFFIX): $(BUILD)/csrc/pyext/%.o $(BUILD)/libishow_pyparts.a $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(HARD_LD) -shared -o $@ $(filter-out $(LIB),$^) $(LINK_LIB) $(CORE_LIBS)

# Where CUDA's headers are, the names and types that are used of the driver are compared with them.
CUDA_HOME ?= /usr/local/cuda
$(BUILD)/tests/c/test_model_cuda.o: EXTRA = $(addprefix -I,$(wildcard $(CUDA_HOME)/include))

# Shared helpers of the tests are an archive: a test takes what it uses.
$(BUILD)/libtest_helpers.a: $(call obj,$(HELPERS))
	rm -f $@ && $(AR) rcs $@ $^

# Tests named test_bridge* start an interpreter; test_server* add the HTTP layer; the others link the core alone.
test_exe      = $(1:tests/c/%.c=$(BUILD)/tests/%)
BRIDGE_TESTS := $(call test_exe,$(filter tests/c/test_bridge%,$(TESTS)))
SERVER_TESTS := $(call test_exe,$(filter tests/c/test_server%,$(TESTS)))
CORE_TESTS   := $(filter-out $(BRIDGE_TESTS) $(SERVER_TESTS),$(call test_exe,$(TESTS)))
$(BRIDGE_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/c/%.o $(BUILD)/libtest_helpers.a $(BUILD)/libishow_bridge.a $(BUILD)/libishow.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(CORE_LIBS) $(PY_LIBS) -lcmocka
$(SERVER_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/c/%.o $(BUILD)/libtest_helpers.a $(BUILD)/libishow_server.a $(BUILD)/libishow.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(CORE_LIBS) $(SERVER_LIBS) -lcmocka
$(CORE_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/c/%.o $(BUILD)/libtest_helpers.a $(BUILD)/libishow.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(CORE_LIBS) -lcmocka

# Running one is a target as well, so that -j runs several at a time; what a target says comes in one piece.
MAKEFLAGS += --output-sync=target
RUNS := $(BRIDGE_TESTS:%=%.run) $(CORE_TESTS:%=%.run) $(SERVER_TESTS:%=%.run) # the longest first
.PHONY: $(RUNS)
$(RUNS): %.run: %
	@echo "== $<"; $<

test: $(RUNS) headers
# An embedded torch is not built for sanitizers: the bridge runs in the plain variant only.
asan:
	$(MAKE) VARIANT=asan sanitized
tsan:
	$(MAKE) VARIANT=tsan sanitized
.PHONY: sanitized
sanitized: $(CORE_TESTS:%=%.run) $(SERVER_TESTS:%=%.run)

# A corpus in the tree starts each fuzzer; what it finds besides stays in build/fuzz. Their limits count processor time.
FUZZERS := $(wildcard tests/fuzz/fuzz_*.c)
fuzz_exes := $(FUZZERS:tests/fuzz/%.c=$(BUILD)/fuzz/%)
FUZZ_RUNS := $(fuzz_exes:%=%.run)
.PHONY: fuzz fuzzed $(FUZZ_RUNS)
fuzz:
ifeq ($(CLANG),)
	@echo "fuzz: SKIPPED, there is no clang"
else
	$(MAKE) VARIANT=fuzz fuzzed
endif
fuzzed: $(FUZZ_RUNS)
$(FUZZ_RUNS): $(BUILD)/fuzz/fuzz_%.run: $(BUILD)/fuzz/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*
	@$< -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 -artifact_prefix=$(BUILD)/ $(BUILD)/corpus/$* \
	  tests/fuzz/corpus/$* 2>$(BUILD)/$*.log || { cat $(BUILD)/$*.log; exit 1; }
	@echo "fuzz $*: $$(sed -n 's/^stat::number_of_executed_units: *//p' $(BUILD)/$*.log) inputs in $(FUZZ_SECONDS) s"
# Without kernels and networks, whose code is for GCC alone; the server among them runs on the tests' model.
FUZZED := $(filter-out csrc/server/main.c,$(wildcard $(patsubst %,csrc/%/*.c,$(filter-out kernels model,$(MODULES)) server))) \
  $(patsubst %,csrc/model/%.c,manifest description safetensors)
build/fuzz/csrc/audio/mel_kernel8.o build/cover/csrc/audio/mel_kernel8.o: EXTRA = $(if $(filter x86_64,$(MACHINE)),-mavx2 -mfma)
$(BUILD)/libfuzzed.a: $(call obj,$(FUZZED) tests/fuzz/loop.c tests/c/server_rig.c tests/c/fake_backend.c)
	rm -f $@ && $(AR) rcs $@ $^
$(fuzz_exes): $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/fuzz.o $(BUILD)/libfuzzed.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(subst fuzzer-no-link,fuzzer,$(SAN)) -o $@ $^ $(CORE_LIBS) $(SERVER_LIBS) -lcmocka

headers:
	@set -e; for h in $(HEADERS); do printf '#include "%s"\nint ishow_header_is_c99;\n' $${h#*/} | \
	  $(CC) -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -Icsrc -fsyntax-only -x c -; done; echo "headers: C99 clean"

# Each linter is a target, so that they run beside the tests.
bin = $(dir $(PYTHON))
.PHONY: lint lint-c lint-python lint-types
lint: lint-c lint-python lint-types
lint-c:
	git ls-files '*.c' '*.h' | xargs $(bin)clang-format --dry-run --Werror
lint-python:
	$(bin)ruff check -q . && $(bin)ruff format -q --check .
lint-types:
	$(bin)mypy

# The Python package lies in PREFIX/lib, where the library finds it from LIBDIR as well when that is a folder of it (lib/x86_64-linux-gnu);
# packages that it needs come from the environment of $(PYTHON), or lie beside it.
root = $(DESTDIR)$(PREFIX)
libs = $(DESTDIR)$(LIBDIR)
install: lib server ext
	install -d $(root)/bin $(root)/include $(libs)/pkgconfig $(root)/lib/ishow
	install -m 644 include/ishow.h $(root)/include/
	install -m 755 $(LIB) $(libs)/libishow.so.$(VERSION)
	ln -sf libishow.so.$(VERSION) $(libs)/libishow.so.$(SOVERSION)
	ln -sf libishow.so.$(SOVERSION) $(libs)/libishow.so
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: ishow' 'Description: Text to speech in a chosen voice' 'Version: $(VERSION)' \
	  'Cflags: -I$${prefix}/include' 'Libs: -L$(LIBDIR) -lishow' > $(libs)/pkgconfig/ishow.pc
	install -m 755 $(BUILD)/ishowtts-server $(root)/bin/
	$(PYTHON) setup.py -q build_py --build-lib $(root)/lib/ishow
	install -m 755 $(BUILD)/ext/*$(EXT_SUFFIX) $(root)/lib/ishow/ishowtts/

clean:
	rm -rf build/release build/asan build/tsan build/fuzz build/cover build/test-cache

-include $(shell find build/$(VARIANT) -name '*.d' 2>/dev/null)
