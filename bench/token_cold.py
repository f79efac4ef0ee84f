#!/usr/bin/env python3
"""Times `outlast token` on a fresh token, cold process, beside a static binary that only exits.

Prints the ratio of the medians' pairs: once through file and key, once through the daemon.
Needs a release build and a C compiler:

    cargo build --release && python3 bench/token_cold.py
"""
import json
import os
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
OUTLAST = os.path.join(TARGET, "release", "outlast")
ROUNDS, BATCH = 15, 40


def spawn_time(argv, environment):
    """Mean wall time of one spawn and wait, in seconds, over a batch."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    start = time.perf_counter()
    for _ in range(BATCH):
        pid = os.posix_spawn(argv[0], argv, environment, file_actions=quiet)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise SystemExit(f"{argv} ended with status {status}")
    return (time.perf_counter() - start) / BATCH


def paired(name, argv, environment, floor):
    ratios, ours, theirs = [], [], []
    for turn in range(ROUNDS + 1):
        order = [("floor", [floor]), ("ours", argv)]
        times = {}
        for label, command in order if turn % 2 else reversed(order):
            times[label] = spawn_time(command, environment)
        if turn:
            ratios.append(times["ours"] / times["floor"])
            ours.append(times["ours"])
            theirs.append(times["floor"])
    print(
        f"{name:28} {statistics.median(ours) * 1e3:7.3f} ms   static exit {statistics.median(theirs) * 1e3:.3f} ms"
        f"   ratio median {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, {ROUNDS} pairs)"
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        floor = os.path.join(folder, "floor")
        source = os.path.join(folder, "floor.c")
        with open(source, "w") as file:
            file.write("int main(void) { return 0; }\n")
        subprocess.run(["cc", "-O2", "-static", "-o", floor, source], check=True)
        config, home = os.path.join(folder, "outlast.toml"), os.path.join(folder, "home")
        with open(config, "w") as file:
            file.write('[grant.crm]\ntoken_endpoint = "http://127.0.0.1:9/token"\nclient_id = "agent"\n')
        os.chmod(config, 0o600)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "OUTLAST_CONFIG": config,
            "OUTLAST_HOME": home,
            "OUTLAST_SOCKET": os.path.join(folder, "s", "control.sock"),
        }
        tokens = {"access_token": "a" * 260, "token_type": "Bearer", "expires_in": 36000, "refresh_token": "r" * 260}
        subprocess.run(
            [OUTLAST, "import", "crm"], input=json.dumps(tokens).encode(), env=environment, check=True, capture_output=True
        )
        paired("token, file and key", [OUTLAST, "token", "crm"], environment, floor)
        daemon = subprocess.Popen([OUTLAST, "serve"], env=environment, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                if os.path.exists(environment["OUTLAST_SOCKET"]):
                    break
                time.sleep(0.05)
            paired("token, through the daemon", [OUTLAST, "token", "crm"], environment, floor)
        finally:
            daemon.terminate()
            daemon.wait()


main()
