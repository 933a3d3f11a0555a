#!/bin/sh
# Starts PostgreSQL and, as soon as it is ready, runs a script of SQL on it as its owner.
#
#   ensure-cluster.sh SQL_FILE COMMAND...
#
# On its first start the image runs another server, only to initialise the data. That server is left
# alone: PostgreSQL writes its process id and state into postmaster.pid, and the id of the lasting server
# is that of this process, because each program on the way to it replaces the one before. Once the script
# has run, the file READY exists; the health check waits for it, so it never meets a server that refuses it.
set -u
READY=${READY_FILE:-/tmp/cluster-ready}
file=$1
shift

is_ready() {
    [ "$(sed -n 1p "$PGDATA/postmaster.pid" 2>/dev/null)" = "$1" ] &&
        [ "$(sed -n 8p "$PGDATA/postmaster.pid" 2>/dev/null | tr -d ' ')" = ready ]
}

ensure() {
    tries=0
    while :; do
        [ -d "/proc/$1" ] || return
        if is_ready "$1"; then
            seen=$(psql --no-psqlrc --quiet --host /var/run/postgresql \
                --username postgres --dbname postgres --file "$file" 2>&1) && break
            tries=$((tries + 1))
            [ $((tries % 25)) -ne 1 ] || echo "etl: database not set up yet: $seen" >&2
        fi
        sleep 0.2
    done
    : > "$READY"
}
rm -f "$READY"
# In a background process of a background process, which becomes a child of init: PostgreSQL takes this
# process's place and would log the end of a child that it does not know.
(ensure $$ &)
exec "$@"
