#!/bin/sh
# Fills fuzz/corpus from the fixtures, so that a run starts from replies that mean something.
set -eu
cd "$(dirname "$0")"
python3 - <<'PYTHON'
import json, pathlib
kinds = {"device": 0, "api": 1, "token": 2}
for name in ("body", "challenge", "renewal", "reply", "retry_after", "token_response"):
    pathlib.Path("corpus", name).mkdir(parents=True, exist_ok=True)
fixtures = pathlib.Path("../crates/outlast-core/tests/fixtures")
for file in ("generic", "quirks"):
    for line in (fixtures / f"{file}.jsonl").read_text().splitlines():
        row = json.loads(line)
        body, stem = row["body"].encode(), row["id"]
        pathlib.Path("corpus/body", stem).write_bytes(body)
        head = bytes([kinds[row["endpoint_kind"]], 255]) + row["status"].to_bytes(2, "big")
        fields = "".join(f"{name}:{value}\n" for name, value in row["headers"].items())
        pathlib.Path("corpus/reply", stem).write_bytes(head + fields.encode() + b"\n" + body)
        for name, value in row["headers"].items():
            target = {"www-authenticate": "challenge", "retry-after": "retry_after"}.get(name)
            if target:
                pathlib.Path("corpus", target, stem).write_text(value)
for line in (fixtures / "token_replies.jsonl").read_text().splitlines():
    row = json.loads(line)
    if isinstance(row.get("body"), str):
        body, stem = row["body"].encode(), row["id"].replace("/", "-")
        pathlib.Path("corpus/token_response", stem).write_bytes(body)
        pathlib.Path("corpus/renewal", stem).write_bytes(row["status"].to_bytes(2, "big") + body)
PYTHON
