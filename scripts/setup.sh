#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what building and testing Advisor needs and this machine lacks; says nothing when
# nothing is missing. On Debian, Ubuntu and their relatives it uses apt-get, as root or through
# sudo. Elsewhere it lists what is needed and tells what it could not find.
#
#   scripts/setup.sh              to build, to test and to fetch the default model
#   scripts/setup.sh --developer  also for make check, check-asan, check-valgrind and fuzz
#
# Exit status: 0 everything is there, 1 something is missing, 2 usage.
set -eu
export LC_ALL=C

# One row a requirement: Debian package | how to find it elsewhere | what it is for.
#   command NAME             NAME is on the PATH
#   library HEADER FLAG      a program that includes HEADER links with FLAG
#   pip                      python3 can run pip
needs='gcc                 | command cc                      | C11 compiler
make                | command make                    | GNU make
libc6-dev           | library stdio.h -lm             | C library
libopenblas-dev     | library cblas.h -lopenblas      | OpenBLAS: matrix products
libsqlite3-dev      | library sqlite3.h -lsqlite3     | SQLite 3.37 or newer: trial store
libcsv-dev          | library csv.h -lcsv             | libcsv: CSV files
libjansson-dev      | library jansson.h -ljansson     | jansson: JSON files
libpcre2-dev        | library pcre2.h -lpcre2-8       | PCRE2: tokenizer patterns
libssl-dev          | library openssl/evp.h -lcrypto  | OpenSSL: SHA-256
libcmocka-dev       | library cmocka.h -lcmocka       | cmocka: tests
python3-pip         | pip                             | python3 with pip: model download'

developer_needs='clang               | command clang                   | second compiler
libclang-rt-dev     | fuzzer                          | its fuzzer and sanitizers
clang-format        | command clang-format            | formatting
clang-tidy          | command clang-tidy              | static analysis
cppcheck            | command cppcheck                | static analysis
shellcheck          | command shellcheck              | analysis of the scripts
valgrind            | command valgrind                | memory errors
sqlite3             | command sqlite3                 | looking into a study'

say() { printf '%s\n' "$*" >&2; }

# The rows as "package|probe|purpose", without the blanks that align them.
rows() { printf '%s\n' "$needs" | sed 's/ *| */|/g'; }

has_pip() {
    python3 -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("pip"))' \
        </dev/null 2>/dev/null
}

# Does a C program that includes $1 compile and link with the remaining arguments? The user's
# compiler and flags count: they may be what makes a library visible.
links() {
    header=$1
    shift
    source='#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#define PCRE2_CODE_UNIT_WIDTH 8'
    # shellcheck disable=SC2086  # flags are words
    printf '%s\n#include <%s>\nint main(void) { return 0; }\n' "$source" "$header" |
        ${CC:-cc} ${CPPFLAGS:-} ${CFLAGS:-} -x c - -o /dev/null ${LDFLAGS:-} "$@" 2>/dev/null
}

fuzzes() {
    printf '%s\n%s\n' '#include <stddef.h>' \
        'int LLVMFuzzerTestOneInput(const char *p, size_t n) { return p && n > 9; }' |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
}

found() {
    case $1 in
    command\ *) command -v "${1#command }" >/dev/null ;;
    library\ *)
        # shellcheck disable=SC2086  # the row is words: library HEADER FLAG
        set -- $1
        links "$2" "$3"
        ;;
    pip) has_pip ;;
    fuzzer) fuzzes ;;
    *) say "setup: no such probe: $1" && exit 1 ;;
    esac
}

missing_packages() {
    # shellcheck disable=SC2016  # the format is dpkg-query's
    installed=$(rows | cut -d'|' -f1 |
        xargs dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
        sed -n 's/ installed$//p')
    # What is there without its package will do as well: a python3 of one's own, another clang.
    rows | while IFS='|' read -r package probe _; do
        printf '%s\n' "$installed" | grep -qxF -e "$package" && continue
        found "$probe" || printf '%s ' "$package"
    done
}

# As root: $@. Otherwise through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$log" 2>&1
}

# Installs the packages named in $1.
install_packages() {
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    trap 'exit 130' HUP INT TERM
    # The lists may be old without harm; only the installation decides.
    apt update || say "setup: apt-get update failed; going on with the lists that are there"
    # shellcheck disable=SC2086  # a list of words
    apt install -y --no-install-recommends $1 && return
    say "setup: apt-get could not install everything. Its last words:"
    tail -n 12 "$log" | fold -s -w 76 | sed 's/^/  /' >&2
    say "Mend that (is there a network?), or install the packages by hand:"
    print_command "$1"
    exit 1
}

print_command() {
    say "  apt-get install --no-install-recommends \\"
    printf '%s\n' "$1" | fmt -w 70 | sed 's/^/    /; $!s/$/ \\/' >&2
}

setup_debian() {
    missing=$(missing_packages)
    [ -n "$missing" ] || exit 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        say "setup: packages are missing, and only root can install them. As root, run:"
        print_command "$missing"
        exit 1
    fi
    say "setup: installing with apt-get (this can take some minutes):"
    printf '%s\n' "$missing" | fmt -w 74 | sed 's/^ */  /' >&2
    install_packages "$missing"
    missing=$(missing_packages)
    [ -z "$missing" ] || { say "setup: still missing: $missing" && exit 1; }
    say "setup: done"
}

setup_elsewhere() {
    report=$(rows | while IFS='|' read -r _ probe purpose; do
        state=missing
        found "$probe" && state=found
        printf '  %-8s %-34s %s\n' "$state" "$purpose" "$(printf '%s' "$probe" | cut -d' ' -f2-)"
    done)
    case $report in *"  missing "*) ;; *) exit 0 ;; esac
    say "setup: there is no apt-get on this system. Please install what is missing:"
    say "$report"
    say "A library in an unusual place is found through the environment:"
    say "  CPPFLAGS=-I/place/include LDFLAGS=-L/place/lib make"
    exit 1
}

case ${1-} in
'') ;;
--developer) needs="$needs
$developer_needs" ;;
*) say "usage: scripts/setup.sh [--developer]" && exit 2 ;;
esac

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    setup_debian
else
    setup_elsewhere
fi
