#!/bin/sh
# Asks whether a service that starts under init.sh is ready, and ends a start without progress.
#
#   health.sh WITHIN_S COMMAND...
#
# Dagger asks every second until the first success. Progress is processor time of the service's session: less
# than a second of it within WITHIN_S ends the start. So a slow machine makes a start longer and not a failure.
set -u
within=$1
shift
state=${ETL_STATE:-/tmp/etl}
ETL_STARTED_AT=$(cat "$state/started") || exit 1
export ETL_STARTED_AT # a worker's heartbeat counts if it is later

if "$@"; then
    : >"$state/healthy"
    exit 0
fi
session=$(cat "$state/session") || exit 1
# Without pid and name, which may hold blanks: field 4 is the session, 12 and 13 are ticks of 1/100 s.
ticks=$(cat /proc/[0-9]*/stat 2>/dev/null |
    awk -v session="$session" '{ sub(/^.*\) /, ""); if ($4 == session) used += $12 + $13 }
                               END { print used + 0 }')
now=$(date +%s)
seen_at=$now seen_ticks=-100
[ ! -e "$state/progress" ] || read -r seen_at seen_ticks <"$state/progress"
if [ $((ticks - seen_ticks)) -ge 100 ]; then
    echo "$now $ticks" >"$state/progress"
elif [ $((now - seen_at)) -ge "$within" ]; then
    echo "$((now - seen_at))" >"$state/stuck"
    kill -s KILL -- "-$session" 2>/dev/null
fi
exit 1
