#!/bin/sh
# Instructions per judgement, for regressions: counts do not depend on how busy the machine is.
# Needs valgrind. Prints one line a case; each is the difference of two runs that differ only in
# how often the case is judged.
set -eu
cd "$(dirname "$0")/../.."
cargo build --quiet --release -p outlast-core --example classification_once
program=target/release/examples/classification_once
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
for case in success challenge json form xml unknown; do
    few=$(count "$case" 1000)
    many=$(count "$case" 2000)
    echo "$case $(( (many - few) / 1000 ))"
done
