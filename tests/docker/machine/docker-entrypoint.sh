#!/bin/bash
# Stands in for the entry point of the official image of PostgreSQL: same variables, same folders.
set -euo pipefail

# Folders, owners and rights as in the original, so that it needs the same capabilities.
if [ "$1" = postgres ]; then
    mkdir --parents "$PGDATA"
    chmod 00700 "$PGDATA" || :
    mkdir --parents /var/run/postgresql || :
    chmod 03775 /var/run/postgresql || :
fi
if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
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
