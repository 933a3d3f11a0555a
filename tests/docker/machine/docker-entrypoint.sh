#!/bin/bash
# Stands in for the entry point of the official image of PostgreSQL: same variables, same folders.
set -euo pipefail

if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
    install --directory --owner postgres --group postgres --mode 0700 "$PGDATA"
    chown postgres:postgres /var/lib/postgresql /var/run/postgresql
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?is not set}"
    owner=${POSTGRES_USER:-postgres}
    # shellcheck disable=SC2086  # words, as the original takes them
    initdb --username="$owner" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS-} \
        --set=unix_socket_directories=/var/run/postgresql --set='listen_addresses=*'
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    # As the original does: a first server, for initialisation alone.
    PGHOST=/var/run/postgresql pg_ctl start --wait --options "-c listen_addresses="
    database=${POSTGRES_DB:-$owner}
    if [ "$database" != postgres ]; then
        PGHOST=/var/run/postgresql psql --no-psqlrc --username "$owner" --dbname postgres \
            --command "CREATE DATABASE \"$database\""
    fi
    pg_ctl stop --wait --mode fast
fi
exec "$@"
