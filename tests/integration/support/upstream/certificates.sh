#!/bin/sh
# certificates.sh FOLDER: writes a test CA (ca.pem) and certificates (NAME.pem, NAME.key) for the upstream's listeners.
set -eu
cd "$1"
exec 2>openssl.log

new_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

# authority NAME
authority() {
    new_key "$1"
    openssl req -x509 -new -key "$1.key" -subj "/CN=Moongate test authority $1" -days 2 -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign,cRLSign
}

# certificate NAME AUTHORITY DAYS ALTERNATIVE_NAMES
certificate() {
    new_key "$1"
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    echo "subjectAltName=$4" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -days "$3" -extfile "$1.ext" -out "$1.pem" \
        -set_serial "0x$(openssl rand -hex 8)"
}

here="DNS:localhost,DNS:good.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1"
authority ca
authority unknown_ca
certificate good ca 2 "$here"
certificate expired ca -1 "$here"
certificate elsewhere ca 2 DNS:elsewhere.test,IP:127.0.0.2
certificate unknown unknown_ca 2 "$here"
