#!/bin/sh
# Shows by a system call trace that no commit is answered before what it wrote has been synced: 100 commits, one at a time.
# Needs strace. Usage: tests/durability.sh [TRACE, kept there]
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release --example commits
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trace=${1:-$dir/trace}
target=${CARGO_TARGET_DIR:-target}
strace -f -y -s 64 -e trace=pwrite64,write,fdatasync,fsync,sync_file_range -o "$trace" \
    "$target/release/examples/commits" "$dir/state" 1 100 > "$dir/answers"
# A finished call is one line, or its "resumed" half: a write counts from its beginning, a sync from its end. The file
# `acknowledged` is only a lower bound and need not be synced.
awk '
    /pwrite64\([0-9]+<[^>]*\/store\/db>/ { unsynced = 1; writes++; next }
    /fdatasync\([0-9]+<[^>]*\/store\/db>\) += 0/ { unsynced = 0; syncs++; next }
    /fdatasync\([0-9]+<[^>]*\/store\/db> <unfinished/ { split($0, part, " "); pending[part[1]] = 1; next }
    /<\.\.\. fdatasync resumed>\) += 0/ { split($0, part, " "); if (pending[part[1]]) { unsynced = 0; syncs++ } next }
    /"acknowledged / { answers++; if (unsynced) { early++; print "answered before its sync: " $0 } }
    END {
        printf "%d answers, %d writes to the log, %d syncs of it, %d answers before their sync\n", answers, writes, syncs, early
        exit !(answers == 100 && syncs >= 100 && early == 0)
    }
' "$trace"
