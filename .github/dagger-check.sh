#!/usr/bin/env bash
# Runs the module's checks by their names, after comparing the list of names with the module's.
#
# `dagger check` with a name that does not exist runs nothing and exits with 0, so a check that was renamed would
# pass unseen. Generated files are written anew: a difference fails.
set -euo pipefail
cd "$(dirname "$0")/.."

expected=$(sort .github/dagger-checks.txt)
listed=$(dagger check -l --no-generate | awk 'NR > 1 && NF { print $1 }' | sort)
if [ "$listed" != "$expected" ]; then
    echo "::error::the module has the checks '${listed//$'\n'/ }', expected are '${expected//$'\n'/ }'"
    exit 1
fi
mapfile -t checks <<<"$expected"
dagger --progress plain check "${checks[@]}"

# Without -y it asks, and waits for an answer.
dagger --progress plain generate -y
if ! git diff --exit-code; then
    echo "::error::generated files are out of date: dagger generate -y, then commit"
    exit 1
fi
