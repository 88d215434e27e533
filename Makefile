# Advisor: which technique should customise your language model, and what does each cost?
#
#   make            build/advisor
#   make demo       install what is missing, build, fetch the default model, run a small study
#   make demo-families  one technique of every family, and chain of thought on word problems (15 minutes)
#   make test       install what is missing, build, run the whole test suite
#   make check      layering, formatting, static analysis, and both compilers without a warning
#   make check-asan the test suite under the address and undefined-behaviour sanitizers
#   make check-valgrind  the suites that are fast enough, under valgrind
#   make fuzz       every fuzzer for FUZZ_SECONDS (default 30)
#   make visual     the HTML report in headless Chromium: console, overlaps, contrast, screenshots
#   make bench      speed of the engine beside the sgemm peak of the same run; growth, memory, start
#   make bench-peers  the engine beside llama.cpp and PyTorch, which it installs outside the tree
#   make bench-study  a study beside the same table by transformers and peft; DATA=CSV TEST=CSV ROWS=512
#   make bench-decision  how good the advice is, by replaying recorded trials; takes seconds
#   make bench-budgets  whether ten budgets from 20 s to 10 min are kept (32 minutes)
#   make install    PREFIX (default /usr/local) and DESTDIR are respected; make uninstall
#   make clean      remove build/
#
#   MODEL=FILE      a GGUF model for demo, test and bench instead of the default one
#   SUITES=NAMES    the suites that test, check-asan and check-valgrind run instead of all
#   NATIVE=         a program that runs on any processor of this kind, not only on this one
#   BUILD=FOLDER    another folder to build in, for other flags than those of build/
#   V=1             print whole commands
#   CC, CFLAGS, CPPFLAGS and LDFLAGS are respected

CC       ?= cc
NATIVE   ?= -march=native
CFLAGS   ?= -O3 -g $(NATIVE) -fopenmp-simd
PREFIX   ?= /usr/local
VERSION  := 0.1.0
MODEL    ?=

FOLDERS  := base model datasets techniques evaluators reports artifacts advisor
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
LIBS     := -lopenblas -lsqlite3 -lcsv -ljansson -lpcre2-8 -lcrypto -lpthread -lm
BUILD    ?= build
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)

SOURCES  := $(filter-out advisor/main.c,$(foreach f,$(FOLDERS),$(wildcard $(f)/*.c)))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/obj/%.o)
DOUBLES  := $(SOURCES:%.c=$(BUILD)/double/%.o)
SUITES   ?= $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
TESTS    := $(SUITES:%=$(BUILD)/tests/%)
FUZZERS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
EMBEDDED := $(wildcard datasets/demo/*.csv datasets/demo/*.jsonl evaluators/*.txt advisor/*.csv)

DIALECT   = -std=c11 -fno-math-errno $(WARNINGS) -DADVISOR_VERSION='"$(VERSION)"' -I. $(CPPFLAGS)
DEPENDS   = -MMD -MP -MF $@.d -MT $@
COMPILE   = $(CC) $(DIALECT) $(CFLAGS)

# The name of what is made rather than the whole command, unless V=1.
QUIETLY   = $(if $(V),,@echo "  $@";)

.PHONY: all setup model demo demo-families test suites check check-all check-layers check-format check-scripts \
	check-cppcheck check-asan check-valgrind visual fuzz fuzz-all bench bench-budgets bench-decision bench-peers \
	bench-study install uninstall clean help FORCE
.DELETE_ON_ERROR:
all: $(BUILD)/advisor

$(BUILD)/advisor: $(BUILD)/obj/advisor/main.o $(BUILD)/libadvisor.a
	$(QUIETLY)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/libadvisor.a: $(OBJECTS) $(BUILD)/sources
	@rm -f $@
	$(QUIETLY)$(AR) rcs $@ $(OBJECTS)

# The same sources with `real` as double: gradients are checked in double precision.
$(BUILD)/libadvisor-double.a: $(DOUBLES) $(BUILD)/sources
	@rm -f $@
	$(QUIETLY)$(AR) rcs $@ $(DOUBLES)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) -c -o $@ $<

$(BUILD)/double/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) -DADVISOR_DOUBLE -c -o $@ $<

$(BUILD)/obj/datasets/demo.o $(BUILD)/double/datasets/demo.o: $(EMBEDDED)
$(BUILD)/obj/evaluators/forgetting.o $(BUILD)/double/evaluators/forgetting.o: $(EMBEDDED)
$(BUILD)/obj/advisor/rules.o $(BUILD)/double/advisor/rules.o: $(EMBEDDED)
$(BUILD)/obj/reports/html_pieces.o $(BUILD)/double/reports/html_pieces.o: reports/report.css

# Tests whose name ends in _double are linked with the double build.
$(BUILD)/tests/%_double: tests/%_double.c $(BUILD)/libadvisor-double.a
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) -DADVISOR_DOUBLE $(LDFLAGS) -o $@ $< \
		$(BUILD)/libadvisor-double.a -lcmocka $(LIBS)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libadvisor.a
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) $(LDFLAGS) -o $@ $< $(filter %.o,$^) $(BUILD)/libadvisor.a \
		-lcmocka $(LIBS)

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libadvisor.a
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) $(LDFLAGS) -o $@ $< $(filter %.o,$^) $(BUILD)/libadvisor.a $(LIBS)

# What replaying recorded trials is made of, for its program and its tests.
REPLAY := $(patsubst %,$(BUILD)/obj/tests/bench/%.o,recorded question replay figures)
$(BUILD)/bench/decision $(BUILD)/tests/test_replay: $(REPLAY)

# What the programs that measure the engine share.
$(BUILD)/bench/bench_engine $(BUILD)/bench/bench_peers $(BUILD)/bench/bench_growth: \
	$(BUILD)/obj/tests/bench/rates.o
$(patsubst %,$(BUILD)/bench/bench_%,start growth billion): $(BUILD)/obj/tests/bench/programs.o
$(BUILD)/bench/bench_growth $(BUILD)/bench/bench_billion: $(BUILD)/obj/tests/bench/made_model.o
$(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/bench_*.c)): \
	$(BUILD)/obj/tests/bench/goals.o

# Programs that make what the scripts of tests/parity check; run by hand.
$(BUILD)/parity/%: tests/parity/%.c $(BUILD)/libadvisor.a
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) $(LDFLAGS) -o $@ $< $(BUILD)/libadvisor.a $(LIBS)

$(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/libadvisor.a
	@mkdir -p $(@D)
	$(QUIETLY)$(COMPILE) $(DEPENDS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $< $(BUILD)/libadvisor.a $(LIBS)

# What a build was made with and from, rewritten only when it changes: other flags compile
# everything again, and a source file that went away leaves the library.
quoted = '$(subst ','\'',$(1))'
remember = @mkdir -p $(@D); printf '%s\n' $(1) | cmp -s - $@ || printf '%s\n' $(1) >$@

$(BUILD)/flags: FORCE
	$(call remember,$(call quoted,$(COMPILE) $(LDFLAGS)))

$(BUILD)/sources: FORCE
	$(call remember,$(SOURCES))

# --- Targets that prepare what they need ---------------------------------------------------------

# One after the other: what setup installs, the build needs.
AGAIN      = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
GET_MODEL  = $(if $(MODEL),:,scripts/fetch-model.sh)
TRY_MODEL  = $(GET_MODEL) || echo "Going on: tests that need the default model will be skipped." >&2
WITH_MODEL = $(if $(MODEL), --model "$(MODEL)")

setup:
	@scripts/setup.sh

model:
	@scripts/fetch-model.sh

demo:
	@scripts/setup.sh
	@$(AGAIN) $(BUILD)/advisor
	@$(GET_MODEL)
	$(BUILD)/advisor recommend demo:tickets --target 0.80 --budget 5m$(WITH_MODEL)

# One technique of every family, and the baseline.
demo-families:
	@scripts/setup.sh
	@$(AGAIN) $(BUILD)/advisor
	@$(GET_MODEL)
	$(BUILD)/advisor recommend demo:tickets --budget 12m \
		--techniques majority,zero_shot,few_shot,linear_probe,prefix_tuning,ia3,full_finetune$(WITH_MODEL)
	$(BUILD)/advisor recommend demo:problems --budget 5m \
		--techniques majority,zero_shot,few_shot,chain_of_thought$(WITH_MODEL)

test:
	@scripts/setup.sh
	@$(TRY_MODEL)
	@$(AGAIN) suites

# Two suites at a time, whatever the machine: some of them measure time. Tests that run the program
# find it through ADVISOR.
TEST_JOBS    ?= 2
TEST_TIMEOUT ?= 600
TEST_UNDER   ?=
suites: $(TESTS) $(BUILD)/advisor
	@ADVISOR=$(BUILD)/advisor $(if $(MODEL),ADVISOR_MODEL="$(MODEL)") scripts/run-tests.sh \
		--jobs $(TEST_JOBS) --timeout $(TEST_TIMEOUT) --under "$(TEST_UNDER)" $(TESTS)

bench:
	@scripts/setup.sh
	@$(AGAIN) $(patsubst %,$(BUILD)/bench/bench_%,engine growth billion start) $(BUILD)/advisor
	@$(GET_MODEL)
	@$(BUILD)/bench/bench_engine$(if $(MODEL), "$(MODEL)")
	@$(BUILD)/bench/bench_growth $(BUILD)/advisor$(if $(MODEL), "$(MODEL)")
	@$(BUILD)/bench/bench_billion $(BUILD)/advisor$(if $(MODEL), "$(MODEL)")
	@$(BUILD)/bench/bench_start $(BUILD)/advisor$(if $(MODEL), "$(MODEL)")

# Needs Python, and a C++ compiler for llama.cpp.
bench-peers:
	@scripts/setup.sh
	@$(AGAIN) $(BUILD)/bench/bench_peers
	@$(GET_MODEL)
	@tests/bench/peers.py $(BUILD)/bench/bench_peers \
		--model "$(if $(MODEL),$(MODEL),$$(scripts/fetch-model.sh --path))"

# Needs Python. Takes long; begun again, it goes on with what is missing in $(BUILD)/bench/study.
# DATA and TEST are CSV files with text and label; ROWS and BUDGET are those of the study.
bench-study:
	@scripts/setup.sh
	@$(AGAIN) $(BUILD)/advisor
	@$(GET_MODEL)
	@tests/bench/study.py $(BUILD)/advisor --folder $(BUILD)/bench/study \
		--model "$(if $(MODEL),$(MODEL),$$(scripts/fetch-model.sh --path))" \
		$(if $(DATA),--data "$(DATA)") $(if $(TEST),--test "$(TEST)") $(if $(ROWS),--rows $(ROWS)) \
		$(if $(BUDGET),--budget $(BUDGET))

bench-decision:
	@scripts/setup.sh
	@$(AGAIN) $(BUILD)/bench/decision
	@$(BUILD)/bench/decision

bench-budgets:
	@scripts/setup.sh
	@$(AGAIN) $(BUILD)/advisor
	@$(GET_MODEL)
	@tests/bench/budgets.sh $(BUILD)/advisor$(if $(MODEL), "$(MODEL)")

# --- Checks --------------------------------------------------------------------------------------

GCC     ?= gcc
CLANG   ?= clang
STRICT   = $(DIALECT) -Werror -fopenmp-simd $(if $(filter %_double.c,$<),-DADVISOR_DOUBLE)
CHECKED := $(SOURCES) $(wildcard advisor/main.c tests/*.c tests/bench/*.c tests/fuzz/*.c tests/parity/*.c)
HEADERS := $(wildcard $(FOLDERS:%=%/*.h) tests/*.h tests/*/*.h)

check:
	@scripts/setup.sh --developer
	@$(AGAIN) --keep-going check-all

check-all: check-layers check-format check-scripts check-cppcheck $(CHECKED:%.c=$(BUILD)/check/%)

check-layers:
	@scripts/check-layers.sh --self-test
	@scripts/check-layers.sh

check-format:
	@clang-format --dry-run -Werror $(CHECKED) $(HEADERS)

check-scripts:
	@shellcheck scripts/*.sh tests/bench/*.sh .ci/run
	@scripts/run-tests.sh --self-test

check-cppcheck:
	@mkdir -p $(BUILD)/check/cppcheck
	@cppcheck --quiet --std=c11 --error-exitcode=1 --enable=warning,performance,portability \
		--inline-suppr --suppress=missingIncludeSystem -I. -j $(JOBS) \
		--cppcheck-build-dir=$(BUILD)/check/cppcheck $(SOURCES)

# One file: gcc for this processor, clang for any, both precisions, and what is not a test through
# clang-tidy.
$(BUILD)/check/%: %.c .clang-tidy $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  check $<"
	@$(GCC) $(STRICT) -O2 $(NATIVE) $(DEPENDS) -c -o /dev/null $<
	@$(GCC) $(STRICT) -DADVISOR_DOUBLE -fsyntax-only $<
	@$(CLANG) $(STRICT) -O2 -c -o /dev/null $<
	$(if $(filter tests/%,$<),,@clang-tidy --quiet $< -- $(STRICT) 2>$@.log || { cat $@.log; exit 1; })
	@touch $@

check-asan:
	@scripts/setup.sh
	@$(TRY_MODEL)
	@ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
		$(AGAIN) suites BUILD=$(BUILD)/asan TEST_TIMEOUT=3600 \
		CFLAGS="-O2 -g $(NATIVE) -fopenmp-simd -fno-omit-frame-pointer \
			-fsanitize=address,undefined -fno-sanitize-recover=all"

# valgrind does not know AVX-512, so the build and OpenBLAS do without. It is some thirty times
# slower: tests with the default model are skipped.
VALGRIND = valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
check-valgrind:
	@scripts/setup.sh --developer
	@OPENBLAS_CORETYPE=Haswell $(AGAIN) suites BUILD=$(BUILD)/valgrind MODEL=none \
		TEST_TIMEOUT=3600 TEST_UNDER="$(VALGRIND)" CFLAGS="-O1 -g -fopenmp-simd"

# Needs Chromium and Python; the pictures are for a pair of eyes.
PAGES = $(BUILD)/visual
visual: $(BUILD)/tests/test_html
	@mkdir -p $(PAGES)
	@ADVISOR_PAGES=$(PAGES) $<
	@tests/visual/check.py --out $(PAGES) $(PAGES)/*.html

FUZZ_SECONDS ?= 30
fuzz:
	@scripts/setup.sh --developer
	@$(AGAIN) fuzz-all BUILD=$(BUILD)/fuzzed CC=clang CFLAGS="-O1 -g -fopenmp-simd \
		-Wno-pass-failed -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all"

fuzz-all: $(FUZZERS:%=run-%)
.SECONDARY: $(FUZZERS:%=$(BUILD)/fuzz/%)

# What a fuzzer finds is kept beside it, and so is its log. It starts from the files in SEEDS.
run-fuzz_gguf: SEEDS = tests/parity/fixtures
run-fuzz_%: $(BUILD)/fuzz/fuzz_%
	@mkdir -p $(BUILD)/fuzz/corpus/fuzz_$*
	@$< -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix=$<. $(BUILD)/fuzz/corpus/fuzz_$* $(SEEDS) >$<.log 2>&1 && \
		printf 'ok     %-24s %s\n' fuzz_$* "$$(tail -n 1 $<.log)" || \
		{ printf 'FAILED %s\n' fuzz_$*; tail -n 40 $<.log; exit 1; }

# --- Installation --------------------------------------------------------------------------------

install: $(BUILD)/advisor
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 $(BUILD)/advisor "$(DESTDIR)$(PREFIX)/bin/advisor"
	$(BUILD)/advisor help manual >$(BUILD)/advisor.1
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1"
	install -m 644 $(BUILD)/advisor.1 "$(DESTDIR)$(PREFIX)/share/man/man1/advisor.1"
	$(BUILD)/advisor help completion >$(BUILD)/advisor.bash
	install -d "$(DESTDIR)$(PREFIX)/share/bash-completion/completions"
	install -m 644 $(BUILD)/advisor.bash \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/advisor"
	install -d "$(DESTDIR)$(PREFIX)/share/advisor/schema"
	install -m 644 reports/schema/*.schema.json "$(DESTDIR)$(PREFIX)/share/advisor/schema"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/advisor" "$(DESTDIR)$(PREFIX)/share/man/man1/advisor.1" \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/advisor"
	rm -f "$(DESTDIR)$(PREFIX)/share/advisor/schema/"*.schema.json
	rmdir "$(DESTDIR)$(PREFIX)/share/advisor/schema" "$(DESTDIR)$(PREFIX)/share/advisor" || true

clean:
	rm -rf $(BUILD)

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

-include $(wildcard $(foreach f,obj double check,$(BUILD)/$(f)/*/*.d $(BUILD)/$(f)/*/*/*.d) \
	$(foreach f,tests bench fuzz parity,$(BUILD)/$(f)/*.d))
