#!/usr/bin/env bash
# The parts of the Dagger CLI 0.21.8 that the workflows use, as seen on a real engine.
#
# FAKE_DAGGER is a folder: check-list.txt is what `check -l` prints, ran.txt gets what was run.
set -eu
[ "$1" != --progress ] || shift 2
case "$1 ${2:-}" in
"check -l")
    cat "$FAKE_DAGGER/check-list.txt"
    [ "${3:-}" = --no-generate ] || cat "$FAKE_DAGGER/generators.txt"
    ;;
check*)
    shift
    # A name that does not exist runs nothing, and that is no error.
    for name; do
        if grep -q "^$name " "$FAKE_DAGGER/check-list.txt"; then
            echo "$name" >>"$FAKE_DAGGER/ran.txt"
        fi
    done
    ;;
"generate -y") echo generate >>"$FAKE_DAGGER/ran.txt" ;;
*)
    echo "dagger $*: waits for an answer" >&2
    exit 99
    ;;
esac
