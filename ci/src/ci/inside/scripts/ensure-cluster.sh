#!/bin/sh
# Starts PostgreSQL and, as soon as it answers, runs a script of SQL on it as its owner.
#
#   ensure-cluster.sh SQL_FILE COMMAND...
#
# The script may meet the server that the image starts only to initialise, which goes away
# in mid-script: so it is repeated until it has run to its end. The health check, which
# logs in as the role that the script makes, is what bounds all this.
set -u
file=$1
shift

ensure() {
    tries=0
    until seen=$(psql --no-psqlrc --quiet --host /var/run/postgresql \
        --username postgres --dbname postgres --file "$file" 2>&1); do
        kill -0 "$1" 2>/dev/null || return
        tries=$((tries + 1))
        [ $((tries % 25)) -ne 0 ] || echo "etl: database not set up yet: $seen" >&2
        sleep 0.2
    done
}
# Twice in the background: the loop is then nobody's child, and PostgreSQL, which takes
# this process's place, is not told of the end of a process that it does not know.
(ensure $$ &)
exec "$@"
