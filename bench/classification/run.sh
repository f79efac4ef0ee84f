#!/bin/sh
# Prints how well the classifier does on recorded replies, with and without the provider's name,
# beside two ways in which clients usually do it. One JSON object a line in FILE: id, provider,
# endpoint_kind (api, token, device), status, headers, body, expected.{class,recovery,also}.
#
#   bench/classification/run.sh [FILE [--misses]]
set -eu
cd "$(dirname "$0")/../.."
file=${1:-crates/outlast-core/tests/fixtures/quirks.jsonl}
shift $(( $# > 0 ? 1 : 0 ))
exec cargo run --quiet -p outlast-core --example classification_accuracy -- "$file" "$@"
