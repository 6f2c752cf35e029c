#!/bin/sh
# The store on a disk that really fills up: a small tmpfs in a mount namespace of its own. Nothing outside it is touched.
# Needs util-linux, and root or user namespaces. Usage: tests/full_disk.sh [SIZE, default 96m]
set -eu
cd "$(dirname "$0")/.."
size=${1:-96m}
cargo test --quiet --test full_disk --no-run
disk=$(mktemp -d)
trap 'rmdir "$disk"' EXIT
namespace=--mount
[ "$(id -u)" = 0 ] || namespace='--map-root-user --mount'
# shellcheck disable=SC2086
SOTE_ACME_SMALL_DISK=$disk unshare $namespace sh -euc '
    mount -t tmpfs -o size="$1",mode=0700 tmpfs "$SOTE_ACME_SMALL_DISK"
    exec cargo test --test full_disk -- --ignored --test-threads=1 --nocapture
' sh "$size"
