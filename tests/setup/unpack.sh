#!/bin/sh
# unpack.sh FOLDER PACKAGE...: fetches Debian packages and unpacks them into FOLDER/root. Nothing is installed.
set -eu
folder=$1
shift

echo "Fetching from Debian into $folder: $*" >&2
rm -rf "$folder"
mkdir -p "$folder/debs" "$folder/root"
(cd "$folder/debs" && apt-get download -q "$@" >download.log 2>&1) || {
    cat "$folder/debs/download.log" >&2
    echo "The packages could not be fetched; 'apt-get update' (as root) may help." >&2
    exit 1
}
for deb in "$folder"/debs/*.deb; do
    dpkg -x "$deb" "$folder/root"
done
