#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs test suites and adds up what cmocka reports: one line a suite, what the failing ones said,
# and at the end one line "N passed, N failed, N skipped". A test that was announced and never
# finished counts as failed, whether its suite crashed, ran out of time or left early; so does a
# suite that runs no test, or fails outside its tests.
#
#   scripts/run-tests.sh [--jobs N] [--timeout SECONDS] [--under COMMAND] SUITE...
#   scripts/run-tests.sh --self-test
#
# COMMAND (words, such as "valgrind -q") runs each suite. A suite's output is in SUITE.log.
# Exit status: 0 all passed or skipped, 1 something failed, 2 usage.
set -eu

jobs=2
seconds=600
under=
one=

usage() {
    echo "usage: run-tests.sh [--jobs N] [--timeout SECONDS] [--under COMMAND] SUITE..." >&2
    exit 2
}

# Reads a suite's log; prints "passed failed skipped". cmocka ends a group with a summary that
# names failed and skipped tests again, which must not count twice.
# shellcheck disable=SC2016  # awk's own variables
count='
function close_group() {
    if (announced > ok + skip) failed += announced - ok - skip
    announced = ok = skip = 0
    summary = 1
}
/\[==========\] Running [0-9]+ test/ {
    close_group()
    for (i = 1; i < NF; i++) if ($i == "Running") announced = $(i + 1)
    summary = 0
}
/\[       OK \] /     { if (!summary) { ok++; passed++ } }
/\[  SKIPPED \] /     { if (!summary) { skip++; skipped++ } }
/\[  FAILED  \] GROUP TEARDOWN/ { failed++ }
/\[==========\] [0-9]+ test\(s\) run/ { close_group() }
END {
    close_group()
    if (passed + failed + skipped == 0 || (status != 0 && failed == 0)) failed++
    print passed + 0, failed + 0, skipped + 0
}'

# What the exit status $1 of the suite says beyond its $2 tests passed or skipped.
ending() {
    case $1 in
    0) [ "$2" -gt 0 ] || echo "it ran no test" ;;
    124 | 137) echo "it was stopped after $seconds s" ;;
    126 | 127) echo "it could not be started" ;;
    *)
        if [ "$1" -gt 128 ]; then
            echo "it was ended by signal $(($1 - 128))"
        elif ! grep -q '\[  FAILED  \]\|\[  ERROR   \]' "$suite.log"; then
            echo "its exit status was $1"
        fi
        ;;
    esac
}

# The start of what a failing suite said, without the tests that passed and without cmocka's
# summary, and the test it did not come back from.
print_failure() {
    awk '/\[ RUN      \] / { name = $NF; next }
        /\[(       OK |  SKIPPED |  FAILED  |  ERROR   )\] [^-]/ { name = "" }
        /\[==========\]/ { summary = / run\./; next }
        summary && /^\[  .*(listed below:|test\(s\)\.|\] [a-z_0-9]+)$/ { next }
        /\[       OK \]|^ *$|^ *[0-9]+ (FAILED|SKIPPED) TEST/ { next }
        ++lines <= 40 { print }
        END {
            if (lines > 40) print "... and " lines - 40 " more lines"
            if (name != "") print "it did not finish: " name
        }' "$1"
}

# Why tests were skipped: the lines with the word in them that are the suite's own.
print_skips() {
    grep -i skipped "$1" | grep -vE '^\[|\[  SKIPPED \]|SKIPPED TEST' | sort -u | head -n 5 || true
}

run_one() {
    suite=$1
    begin=$(date +%s)
    status=0
    # shellcheck disable=SC2086  # a command of several words
    CMOCKA_MESSAGE_OUTPUT=stdout timeout --foreground -k 10 "$seconds" $under "$suite" \
        >"$suite.log" 2>&1 </dev/null || status=$?
    # shellcheck disable=SC2046  # three numbers
    set -- $(awk -v status="$status" "$count" "$suite.log")
    echo "$@" >"$suite.count"
    verdict=ok
    details=
    if [ "$2" -gt 0 ]; then
        verdict=FAILED
        details=$(print_failure "$suite.log" && ending "$status" $(($1 + $3)) &&
            echo "all of it: $suite.log")
    elif [ "$3" -gt 0 ]; then
        details=$(print_skips "$suite.log")
    fi
    # One write, so that suites that run side by side do not mix their lines.
    printf '%-6s %-24s %4d passed %3d failed %3d skipped %4d s\n%s' "$verdict" "${suite##*/}" \
        "$1" "$2" "$3" $(($(date +%s) - begin)) \
        "${details:+$(printf '%s' "$details" | sed 's/^/       | /')
}"
}

# Suites that end in every way there is: scripts that say what cmocka says.
self_test() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    # shellcheck disable=SC2016  # for the scripts to expand
    says='#!/bin/sh
begin() { echo "[==========] Running 3 test(s)."; }
ok() { echo "text[       OK ] a"; }
skip() { echo "[  SKIPPED ] b"; }
fail() { echo "[  FAILED  ] b"; }
end() { echo "[==========] 3 test(s) run."; "$1"; }
teardown() { echo "[  FAILED  ] GROUP TEARDOWN"; }'
    wrong=0
    while IFS='|' read -r name expected body; do
        printf '%s\n%s\n' "$says" "$body" >"$folder/$name"
        chmod +x "$folder/$name"
        found=$("$0" --timeout 1 "$folder/$name" | tail -n 1)
        [ "$found" = "$expected" ] && continue
        echo "run-tests: $name: expected \"$expected\", found \"$found\"" >&2
        wrong=1
    done <<'EOF'
skips|2 passed, 0 failed, 1 skipped|begin; ok; skip; ok; end skip
fails|2 passed, 1 failed, 0 skipped|begin; ok; fail; ok; end fail; exit 1
fails_quietly|2 passed, 1 failed, 0 skipped|begin; ok; fail; ok; end fail
two_groups|4 passed, 0 failed, 2 skipped|begin; ok; skip; ok; end skip; begin; ok; ok; skip
crashes|1 passed, 2 failed, 0 skipped|begin; ok; kill -SEGV $$
leaves|1 passed, 2 failed, 0 skipped|begin; ok; exit 0
hangs|1 passed, 2 failed, 0 skipped|begin; ok; exec sleep 9
status|3 passed, 1 failed, 0 skipped|begin; ok; ok; ok; end true; exit 23
teardown|3 passed, 1 failed, 0 skipped|begin; ok; ok; ok; end true; teardown
setup|0 passed, 3 failed, 0 skipped|begin; exit 1
empty|0 passed, 1 failed, 0 skipped|:
EOF
    if "$0" "$folder/skips" "$folder/fails" >"$folder/out"; then
        echo "run-tests: a failing suite went unnoticed" >&2
        wrong=1
    fi
    return $wrong
}

while [ $# -gt 0 ]; do
    case $1 in
    --self-test) self_test && exit 0 || exit 1 ;;
    --one) one=yes && shift ;; # internal: run a single suite
    --jobs) jobs=${2:?} && shift 2 ;;
    --timeout) seconds=${2:?} && shift 2 ;;
    --under) under=$2 && shift 2 ;;
    -*) usage ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || usage

if [ -n "$one" ]; then
    run_one "$1"
    exit 0
fi

for suite; do rm -f "$suite.count"; done
printf '%s\n' "$@" | xargs -P "$jobs" -I '{}' \
    "$0" --one --timeout "$seconds" --under "$under" '{}'
for suite; do cat "$suite.count" 2>/dev/null || echo 0 1 0; done | awk '
    { passed += $1; failed += $2; skipped += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }'
