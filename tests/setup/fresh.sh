#!/bin/bash
# fresh.sh [COMMAND...]: proves the README's two commands on a bare Debian 12. Makes one in build/fresh (debootstrap, with
# git and make and nothing else), clones this repository's HEAD into it and runs there, by default, `make run` until it answers and
# then `make test`. As root. The bare system is kept as build/fresh/bare, so that only the first run fetches it.
set -eu
cd "$(dirname "$0")/../.."

folder=$PWD/build/fresh
bare=$folder/bare
root=$folder/root
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if [ "$(id -u)" != 0 ]; then
    echo "A bare Debian can be made by root alone: sudo make fresh" >&2
    exit 1
fi
command -v debootstrap >/dev/null || {
    echo "debootstrap is missing: apt-get install debootstrap" >&2
    exit 1
}

bare_system() {
    [ -e "$bare/.complete" ] && return 0
    echo "Fetching a bare Debian 12 into build/fresh/bare (some minutes)"
    rm -rf "$bare"
    mkdir -p "$folder"
    debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$bare" "$mirror" >"$folder/debootstrap.log" || {
        tail -20 "$folder/debootstrap.log" >&2
        exit 1
    }
    sources >"$bare/etc/apt/sources.list"
    touch "$bare/.complete"
}

# As on an installed Debian: with its security updates.
sources() {
    echo "deb $mirror bookworm main"
    echo "deb $mirror bookworm-updates main"
    echo "deb ${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security} bookworm-security main"
}

leave() {
    for mount in dev/pts dev/shm dev sys proc; do
        ! mountpoint -q "$root/$mount" || umount -l "$root/$mount"
    done
}

enter() {
    leave
    rm -rf "$root"
    cp -a "$bare" "$root"
    trap leave EXIT
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t devtmpfs devtmpfs "$root/dev" 2>/dev/null || mount --rbind /dev "$root/dev"
    mkdir -p "$root/dev/pts" "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts" 2>/dev/null || true
    mount -t tmpfs tmpfs "$root/dev/shm" 2>/dev/null || true
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    git clone -q . "$root/moongate"
}

# Nothing of this machine's environment goes along.
inside() {
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 FUZZ_SECONDS="${FUZZ_SECONDS-}" sh -c "cd /moongate && $1"
}

answers() {
    { exec 3<>/dev/tcp/127.0.0.1/8080; } 2>/dev/null && exec 3>&-
}

# `make run` serves for ever: it has done its work once port 8080 answers. The bare system shares this machine's network.
try_run() {
    ! answers || {
        echo "Something listens on port 8080: make run cannot be tried" >&2
        exit 1
    }
    local before=$SECONDS
    inside "make run" >"$folder/run.log" 2>&1 &
    until answers; do
        kill -0 $! 2>/dev/null || {
            cat "$folder/run.log"
            echo "make run failed"
            exit 1
        }
        sleep 0.5
    done
    inside "build/moongate stop"
    wait $!
    echo "make run answered after $((SECONDS - before)) s"
}

bare_system
enter
if [ $# != 0 ]; then
    inside "$*"
else
    try_run
    inside "make test"
fi
