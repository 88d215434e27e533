# Advisor: which technique should customise your language model, and what does each cost?
#
#   make            build/advisor
#   make demo       install what is missing, build, fetch the default model, run a small study
#   make test       install what is missing, build, run the whole test suite
#   make check      layering, formatting and static analysis
#   make check-asan the test suite under the address and undefined-behaviour sanitizers
#   make bench      speed of the engine beside the sgemm peak of the same run
#   make install    PREFIX (default /usr/local) and DESTDIR are respected

CC       ?= cc
CFLAGS   ?= -O3 -g -march=native -fopenmp-simd
PREFIX   ?= /usr/local
VERSION  := 0.1.0
MODEL    ?=

FOLDERS  := base model datasets techniques evaluators reports advisor
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
LIBS     := -lopenblas -lsqlite3 -lcsv -ljansson -lpcre2-8 -lcrypto -lpthread -lm
BUILD    ?= build

SOURCES  := $(filter-out advisor/main.c,$(foreach f,$(FOLDERS),$(wildcard $(f)/*.c)))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/obj/%.o)
DOUBLES  := $(SOURCES:%.c=$(BUILD)/double/%.o)
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
EMBEDDED := $(wildcard datasets/demo/*.csv datasets/demo/*.jsonl advisor/*.csv)

COMPILE   = $(CC) -std=c11 $(WARNINGS) -DADVISOR_VERSION='"$(VERSION)"' -I. $(CFLAGS) -MMD -MP

.PHONY: all setup model demo test check check-asan bench clean install uninstall
all: $(BUILD)/advisor

$(BUILD)/advisor: $(BUILD)/obj/advisor/main.o $(BUILD)/libadvisor.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/libadvisor.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

# The same sources with `real` as double: gradients are checked in double precision.
$(BUILD)/libadvisor-double.a: $(DOUBLES)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$(BUILD)/double/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -DADVISOR_DOUBLE -c -o $@ $<

$(BUILD)/obj/datasets/demo.o $(BUILD)/double/datasets/demo.o: $(EMBEDDED)
$(BUILD)/obj/advisor/rules.o $(BUILD)/double/advisor/rules.o: $(EMBEDDED)

# Tests whose name ends in _double are linked with the double build.
$(BUILD)/tests/%_double: tests/%_double.c $(BUILD)/libadvisor-double.a
	@mkdir -p $(@D)
	$(COMPILE) -DADVISOR_DOUBLE $(LDFLAGS) -o $@ $< $(BUILD)/libadvisor-double.a -lcmocka $(LIBS)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libadvisor.a
	@mkdir -p $(@D)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(BUILD)/libadvisor.a -lcmocka $(LIBS)

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libadvisor.a
	@mkdir -p $(@D)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(BUILD)/libadvisor.a $(LIBS)

setup:
	@scripts/setup.sh

model:
	@scripts/fetch-model.sh

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
