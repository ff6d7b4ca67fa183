#!/bin/sh
# A PostgreSQL server for tests: postgres.sh start FOLDER PORT [SETTING=VALUE...] | stop FOLDER [MODE] | signal FOLDER SIGNAL.
#
# It listens on 127.0.0.1:PORT and on a socket in FOLDER, trusts everybody, and keeps all it has in FOLDER, which is
# made (and given to the user postgres if we are root, whom PostgreSQL refuses to serve). `moongate` may do anything.
set -eu

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || {
    echo "PostgreSQL is missing: tests/setup/packages.sh test" >&2
    exit 1
}
command=$1
folder=$2

as_owner() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid postgres --regid postgres --clear-groups -- "$@")
    else
        "$@"
    fi
}

case "$command" in
start)
    port=$3
    shift 3
    mkdir -p "$folder"
    [ "$(id -u)" != 0 ] || chown postgres "$folder"
    if [ ! -d "$folder/data" ]; then
        as_owner "$bin/initdb" -D "$folder/data" -A trust -U moongate -E UTF8 --locale=C.UTF-8 --no-sync \
            >"$folder.initdb" 2>&1 || {
            cat "$folder.initdb" >&2
            exit 1
        }
        rm -f "$folder.initdb"
    fi
    options="-p $port -k $folder -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB"
    for setting in "$@"; do
        options="$options -c $setting"
    done
    as_owner "$bin/pg_ctl" -D "$folder/data" -o "$options" -l "$folder/log" -w -t 60 start >/dev/null || {
        cat "$folder/log" >&2
        exit 1
    }
    ;;
stop)
    as_owner "$bin/pg_ctl" -D "$folder/data" -m "${3:-immediate}" -w -t 60 stop >/dev/null
    ;;
signal)
    # All its processes: a frozen master would let its children go on.
    master=$(head -1 "$folder/data/postmaster.pid")
    for pid in $master $(ps -o pid= --ppid "$master"); do
        kill -s "$3" "$pid" 2>/dev/null || true
    done
    if [ "$3" = KILL ]; then
        # The next one would take a process that nobody has waited for yet for a living one.
        while grep -qs '^State:[[:space:]]*[^Z]' "/proc/$master/status"; do
            sleep 0.01
        done
        rm -f "$folder/data/postmaster.pid"
    fi
    ;;
*)
    echo "usage: postgres.sh start FOLDER PORT [SETTING=VALUE...] | stop FOLDER [MODE] | signal FOLDER SIGNAL" >&2
    exit 2
    ;;
esac
