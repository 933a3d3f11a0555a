#!/bin/sh
# Supervises one service in a container: Dagger restarts nothing and reports no death after a start.
#
#   init.sh NAME SIGNAL STOP_WITHIN_S DEATHS WITHIN_S COMMAND...
#
# Passes a stop on as SIGNAL, and kills the service when it has not ended within STOP_WITHIN_S. Reports each
# death with its exit code and last lines, and starts the service again. Ends with the service's exit code if
# the service was never ready (health.sh notes when it is), or at DEATHS deaths within WITHIN_S seconds.
#
# ETL_STATE is the folder of its notes. ETL_ALONE=1: the container holds this service and nothing else, so
# every process that a dead service has left behind is killed, not only those of its session.
set -u
name=$1 signal=$2 stop_within=$3 limit=$4 within=$5
shift 5
state=${ETL_STATE:-/tmp/etl}
stopping='' child='' deaths=''
mkdir -p "$state"
rm -f "$state"/*

report() {
    echo "etl: $name $1" >&2
}

stop() {
    stopping=yes
    [ -n "$child" ] || exit 0
    kill -s "$signal" "$child" 2>/dev/null
    # For a service that ignores its signal; Dagger itself would wait without limit.
    (
        sleep "$stop_within"
        kill -s KILL "$child" 2>/dev/null
    ) &
}
trap stop TERM INT HUP

start() {
    rm -f "$state/output" "$state/copy"
    mkfifo "$state/output" "$state/copy"
    tail -n 5 <"$state/copy" >"$state/last" &
    reader=$!
    tee "$state/copy" <"$state/output" &
    copier=$!
    started=$(date +%s)
    echo "$started" >"$state/started"
    # A session of its own, so that what it leaves behind can be found.
    setsid "$@" >"$state/output" 2>&1 &
    child=$!
    echo "$child" >"$state/session"
}

# Kills what the service left behind: a second server on one data folder must not start beside it.
clear_up() {
    kill -s KILL -- "-$child" 2>/dev/null
    if [ "${ETL_ALONE:-}" = 1 ]; then
        for entry in /proc/[0-9]*; do
            pid=${entry#/proc/}
            case $pid in
            1 | "$$" | "$PPID" | "$reader" | "$copier") ;;
            *) kill -s KILL "$pid" 2>/dev/null ;;
            esac
        done
    fi
    # The last lines are complete when no process has the service's output open.
    tries=0
    while kill -0 "$reader" 2>/dev/null && [ "$tries" -lt 20 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

# Sets `count` to the number of deaths within the last WITHIN_S seconds.
count_deaths() {
    count=0 kept=''
    for at in $deaths; do
        [ $(($1 - at)) -lt "$within" ] || continue
        kept="$kept $at"
        count=$((count + 1))
    done
    deaths=$kept
}

while :; do
    start "$@"
    [ -z "$stopping" ] || stop # the signal came between the fork and its number
    while :; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || break # a signal to us ends wait, not the child
    done
    [ -z "$stopping" ] || exit 0
    now=$(date +%s)
    clear_up
    if [ -e "$state/stuck" ]; then
        report "made no progress for $(cat "$state/stuck") s and was stopped; its last lines:"
        code=124
    else
        report "died with exit code $code after $((now - started)) s; its last lines:"
    fi
    sed 's/^/    /' "$state/last" >&2
    [ "$code" -ne 0 ] || code=1
    if [ ! -e "$state/healthy" ]; then
        report "was never ready, so it is not started again"
        exit "$code"
    fi
    deaths="$deaths $now"
    count_deaths "$now"
    if [ "$count" -ge "$limit" ]; then
        report "died $count times within $within s, so it is not started again"
        exit "$code"
    fi
    report "is started again ($count of $limit deaths within $within s)"
done
