#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks who includes whom, as DESIGN.md draws it:
#
#   base <- model <- techniques <- evaluators <- advisor
#
# where datasets uses base only, and reports read the records of the trial store only. Prints
# FILE:LINE and the rule that is broken. The rules are the tables below; tests may include
# anything, and nothing includes a test.
#
#   scripts/check-layers.sh [FOLDER]     the tree in FOLDER (default: this one)
#   scripts/check-layers.sh --self-test  plants violations and must find every one of them
#
# Exit status: 0 in order, 1 a rule is broken, 2 usage.
set -eu

# A folder, and the folders or headers that its files may include.
arrows='
base        base
model       base model
datasets    base datasets
techniques  base model datasets techniques
evaluators  base model datasets techniques evaluators
reports     base reports evaluators/store.h evaluators/guard.h
artifacts   base model datasets techniques evaluators artifacts
advisor     base model datasets techniques evaluators reports artifacts advisor
'

# A library header, and the only files that include it (several rows add up).
libraries='
cblas*.h           model/blas.c
openblas_config.h  model/blas.c
sqlite3.h          evaluators/store*.c advisor/condition.c
csv.h              datasets/csv.c
pcre2.h            model/pretokenizer.c
openssl/*          base/hash.c
jansson.h          datasets/jsonl.[ch] datasets/chat.[ch] datasets/task.c
jansson.h          techniques/setting.c evaluators/slots.c reports/read.c
jansson.h          advisor/reading.c advisor/reopen.c
jansson.h          advisor/baseline.c
jansson.h          techniques/interchange.c artifacts/manifest.c artifacts/messages.c
jansson.h          artifacts/safetensors.c artifacts/peft.c artifacts/prompt.c artifacts/predict.c
jansson.h          artifacts/examples.c
cmocka.h           -
'

# A technique is known to its own file, techniques/NAME.c, and to the registry alone. Nothing else
# includes a header NAME.h beside it or the registry's own, or declares a technique.
registry=techniques/registry

# shellcheck disable=SC2016  # awk's own variables
program='
function pattern(glob) {
    gsub(/\./, "\\.", glob)
    gsub(/\*/, "[^/]*", glob)
    return "^" glob "$"
}

# Is name one of the words, which may hold the wildcards * and []?
function listed(name, words,    i, n, word) {
    n = split(words, word, " ")
    for (i = 1; i <= n; i++) if (name ~ pattern(word[i])) return 1
    return 0
}

function broken(rule) {
    printf "%s:%d: %s\n", file, FNR, rule
    found = 1
}

function folder_of(path) { return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : "" }

function stem(path) { sub(/\.[ch]$/, "", path); return path }

function words(text) { gsub(/ +/, " ", text); return text }

function read_table(text, table,    i, n, line, cut, name) {
    n = split(text, line, "\n")
    for (i = 1; i <= n; i++) {
        cut = index(line[i], " ")
        name = substr(line[i], 1, cut - 1)
        if (cut) table[name] = table[name] words(substr(line[i], cut))
    }
}

function names_technique(header) { return stem(header) in concrete || stem(header) == registry }

function may_name(header) {
    if (stem(file) == registry || stem(file) == stem(header)) return 1
    return stem(header) == registry && stem(file) in concrete
}

function check_own(header,    to) {
    to = folder_of(header)
    if (!(to in may) && to != "tests")
        return broken("\"" header "\": a path starts with a folder of the project")
    if (folder == "tests") return
    if (!listed(to, may[folder]) && !listed(header, may[folder]))
        return broken("\"" header "\": " folder " may include only:" may[folder])
    if (names_technique(header) && !may_name(header))
        broken("\"" header "\": " named)
}

function check_library(header,    glob) {
    if (folder == "tests") return
    for (glob in only)
        if (header ~ pattern(glob) && !listed(file, only[glob]))
            broken("<" header "> is included only by:" \
                   (only[glob] ~ /^ *-$/ ? " tests" : only[glob]))
}

BEGIN {
    read_table(ENVIRON["arrows"], may)
    read_table(ENVIRON["libraries"], only)
    registry = ENVIRON["registry"]
    split(ENVIRON["techniques"], names, "\n")
    for (i in names) concrete[names[i]] = 1
    named = "only " registry ".c and tests name a technique"
}

FNR == 1 {
    file = FILENAME
    sub(/^\.\//, "", file)
    folder = folder_of(file)
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
    quoted = $0 ~ /include[ \t]*"/
    header = $0
    sub(/^[^"<]*["<]/, "", header)
    sub(/[">].*$/, "", header)
    if (quoted) check_own(header)
    else check_library(header)
}

/^[ \t]*extern[ \t].*struct technique / && folder != "tests" {
    if (stem(file) != registry && !(stem(file) in concrete)) broken(named)
}

END { exit found }
'

check() (
    cd "$1"
    techniques=$(grep -lE '^(static )?const struct technique [a-z_0-9]+ *=' techniques/*.c \
        2>/dev/null | sed 's/\.c$//') || true
    export arrows libraries registry techniques
    # The folders of the table, and the tests.
    for folder in $(printf '%s' "$arrows" | sed -n 's/ .*//p') tests; do
        [ ! -d "$folder" ] || find "$folder" -name '*.[ch]'
    done | LC_ALL=C sort | xargs awk "$program" || exit 1
)

# One line to plant a row: what the check must find, the file, the line.
self_test() {
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    wrong=0
    while IFS='|' read -r expected file line; do
        rm -rf "${tree:?}"/*
        mkdir -p "$tree/techniques" "$tree/$(dirname "$file")"
        echo 'const struct technique lora = {0};' >"$tree/techniques/lora.c"
        printf '/* first line */\n%s\n' "$line" >>"$tree/$file"
        found=fine
        said=$(check "$tree") || found=broken
        [ "$found" = broken ] && case $said in
        "$file:"[23]": "*) ;;
        *) found="\"$said\"" ;;
        esac
        [ "$found" = "$expected" ] && continue
        echo "check-layers: $file with $line: expected $expected, found $found" >&2
        wrong=1
    done <<'EOF'
broken|base/a.c|#include "model/tape.h"
broken|base/deep/a.h|#include "model/tape.h"
fine|base/a.c|#include "base/error.h"
broken|model/a.c|#include "techniques/technique.h"
broken|model/a.c|#include "datasets/dataset.h"
broken|model/a.h|  #  include "advisor/plan.h"
broken|datasets/a.c|#include "model/tokenizer.h"
broken|techniques/a.c|#include "evaluators/store.h"
broken|evaluators/a.c|#include "advisor/plan.h"
broken|evaluators/a.c|#include "reports/json.h"
broken|reports/a.c|#include "evaluators/trial.h"
broken|reports/a.c|#include "datasets/dataset.h"
fine|reports/a.c|#include "evaluators/store.h"
fine|advisor/a.c|#include "reports/json.h"
broken|advisor/a.c|#include "tests/support.h"
fine|tests/test_a.c|#include "tests/support.h"
broken|model/a.c|#include "tape.h"
broken|model/a.c|#include "../base/error.h"
broken|model/a.c|#include <cblas.h>
fine|model/blas.c|#include <cblas.h>
broken|advisor/main.c|#include <sqlite3.h>
fine|evaluators/store_read.c|#include <sqlite3.h>
broken|evaluators/storeroom/a.c|#include <sqlite3.h>
broken|datasets/table.c|#include <csv.h>
fine|datasets/table.c|#include "datasets/csv.h"
broken|model/gguf.c|#include <pcre2.h>
broken|model/load.c|#include <openssl/evp.h>
broken|model/load.c|#include <jansson.h>
fine|datasets/jsonl.h|#include <jansson.h>
broken|model/load.c|#include <cmocka.h>
fine|tests/test_load.c|#include <sqlite3.h>
broken|techniques/dora.c|#include "techniques/lora.h"
broken|evaluators/trial.c|#include "techniques/lora.h"
fine|techniques/lora.c|#include "techniques/lora.h"
fine|techniques/registry.c|#include "techniques/lora.h"
fine|tests/test_lora.c|#include "techniques/lora.h"
fine|techniques/lora.c|#include "techniques/registry.h"
broken|techniques/trainer.c|#include "techniques/registry.h"
broken|evaluators/trial.c|#include "techniques/registry.h"
fine|techniques/registry.h|extern const struct technique lora;
broken|advisor/plan.c|extern const struct technique lora;
fine|techniques/registry.c|extern const struct technique lora;
EOF
    return $wrong
}

case ${1-} in
--self-test) if self_test; then exit 0; else exit 1; fi ;;
-*) echo "usage: scripts/check-layers.sh [FOLDER] | --self-test" >&2 && exit 2 ;;
*) check "${1:-"$(dirname "$0")/.."}" ;;
esac
