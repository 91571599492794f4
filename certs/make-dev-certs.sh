#!/bin/sh
# Makes an authority and a certificate for a laptop: ca.crt, tls.crt and tls.key in a folder.
#
#   certs/make-dev-certs.sh [FOLDER]
#
# They are good for a week. Nothing in a cluster should trust them.
set -eu

folder=${1:-dev-certs}
days=7
names=DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1,DNS:poolguard.poolguard-system.svc

umask 077
mkdir -p "$folder"
# The authority's key is not kept: to renew, make everything again.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() {
  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"
}

key "$work/ca.key"
openssl req -x509 -new -sha256 -key "$work/ca.key" -days "$days" \
  -subj '/CN=PoolGuard development authority' -out "$folder/ca.crt"

key "$folder/tls.key"
openssl req -new -sha256 -key "$folder/tls.key" -subj /CN=poolguard -out "$work/tls.csr"
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$names" > "$work/extensions"
openssl x509 -req -sha256 -in "$work/tls.csr" -CA "$folder/ca.crt" -CAkey "$work/ca.key" \
  -set_serial "0x$(openssl rand -hex 16)" -days "$days" -extfile "$work/extensions" \
  -out "$folder/tls.crt" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }

echo "made $folder/ca.crt, $folder/tls.crt and $folder/tls.key"
