#!/bin/sh
# What recording a step costs here and elsewhere.
#
#   bench/tasks.sh [STEPS]       needs Rust, a C compiler, python3 with venv, and the Python package index
set -eu
cd "$(dirname "$0")/.."
steps="${1:-2000}"
venv=target/bench/tasks-venv
if [ ! -x "$venv/bin/python3" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q langgraph==1.2.24 langgraph-checkpoint-sqlite==3.1.2 dbos==3.4.0
fi
echo "== ours: two entries a step (started, done)"
cargo bench -q -p outlast --bench step -- "$steps" 2>/dev/null
echo "== others"
"$venv/bin/python3" bench/tasks.py "$steps"
