#!/bin/sh
# Runs one service in a container: hands a stop on as the signal that the service wants,
# kills it when it does not end in time, says how it ended, and starts it again.
#
#   init.sh SIGNAL STOP_WITHIN_S MIN_LIFE_S COMMAND...
#
# A process that lived for less than MIN_LIFE_S is not started again: it would only die
# again, and whoever waits for it should see why.
set -u
signal=$1 stop_within=$2 min_life=$3
shift 3
stopping='' child=''

stop() {
    stopping=yes
    [ -n "$child" ] || exit 0
    kill -s "$signal" "$child" 2>/dev/null
    # For a service that is deaf to its signal; Dagger itself would wait without limit.
    (
        sleep "$stop_within"
        kill -s KILL "$child" 2>/dev/null
    ) &
}
trap stop TERM INT HUP

while :; do
    started=$(date +%s)
    "$@" &
    child=$!
    [ -z "$stopping" ] || stop # the signal came between the fork and its number
    while :; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || break # a signal to us ends wait, not the child
    done
    [ -z "$stopping" ] || exit 0
    lived=$(($(date +%s) - started))
    if [ "$lived" -lt "$min_life" ]; then
        echo "etl: $1 ended after $lived s with exit code $code; not started again" >&2
        exit "$code"
    fi
    echo "etl: $1 ended after $lived s with exit code $code; starting it again" >&2
done
