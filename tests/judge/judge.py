#!/usr/bin/env python3
"""A strict authorization server that judges: it runs in a process of its own, shares no code with Outlast,
and keeps account of every refresh token it ever handed out.

It rotates with no grace window and kills a family when a spent refresh token comes back (RFC 9700 4.14.2),
unless a family is told otherwise. Tokens are opaque. See README.md for the endpoints.
"""

import argparse
import base64
import json
import math
import secrets
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_plus, urlsplit

BODY_BYTES_MAX = 64 * 1024


class Family:
    """One permission: its refresh tokens in the order in which they were handed out."""

    def __init__(self, name, life, grace, latency, lenient):
        self.name, self.life, self.grace = name, life, grace
        self.latency = latency  # seconds from the rotation to its answer
        self.lenient = lenient  # a spent token is refused, and the family lives on
        self.spent_at = []  # for each refresh token, when it was first redeemed; None for the current one
        self.alive = True
        self.killed_by = None
        self.access_from = 0  # access tokens of earlier rotations are refused before their time
        self.counts = dict.fromkeys(("requests", "rotations", "repeats", "reuses", "refusals", "answers_broken"), 0)
        self.used = 0  # the newest rotation whose access token the resource took
        self.answered = 0  # the newest rotation whose answer was handed to the kernel whole

    def told(self):
        return {
            "family": self.name,
            "alive": self.alive,
            "killed_by": self.killed_by,
            "rotation": len(self.spent_at) - 1,
            "answered": self.answered,
            "handed_out": len(self.spent_at),
            **self.counts,
        }


class Judge:
    def __init__(self, log, events=False):
        self.events = events
        self.lock = threading.Lock()
        self.families = {}
        self.refresh = {}  # refresh token -> (family, rotation)
        self.access = {}  # access token -> (family, rotation, ends at)
        self.faults = []
        self.unknown_tokens = 0
        self.log_file = open(log, "a", buffering=1, encoding="utf-8") if log else None

    def log(self, event, **more):
        if not self.log_file and not self.events:
            return
        line = json.dumps({"at": time.time(), "monotonic": time.monotonic(), "event": event, **more}) + "\n"
        if self.log_file:
            self.log_file.write(line)
        if self.events:
            # One write, so that lines of several threads stay whole.
            sys.stdout.write(line)
            sys.stdout.flush()

    def mint(self, family):
        rotation = len(family.spent_at)
        family.spent_at.append(None)
        refresh, access = "CANARY-refresh-" + secrets.token_urlsafe(24), "CANARY-access-" + secrets.token_urlsafe(24)
        self.refresh[refresh] = (family, rotation)
        self.access[access] = (family, rotation, time.time() + family.life)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": family.life,
            "refresh_token": refresh,
            "scope": "read",
        }

    def new_family(self, wish):
        with self.lock:
            name = wish.get("name") or f"family-{len(self.families) + 1}"
            if name in self.families:
                return 409, {"error": "there is a family of that name"}
            family = Family(
                name, wish.get("life", 3600), wish.get("grace", 0), wish.get("latency", 0), wish.get("lenient", False)
            )
            self.families[name] = family
            self.log("family", family=name)
            return 200, {"family": name, **self.mint(family)}

    def redeem(self, token, client):
        """Status, body, and the family and rotation that the answer is about."""
        refused = (400, {"error": "invalid_grant"})
        with self.lock:
            family, rotation = self.refresh.get(token, (None, None))
            if family is None:
                self.unknown_tokens += 1
                self.log("unknown-token")
                return (*refused, None, None)
            family.counts["requests"] += 1
            if not family.alive:
                family.counts["refusals"] += 1
                self.log("refused", family=family.name, token=rotation, client=client)
                return (*refused, family, None)
            spent_at = family.spent_at[rotation]
            if spent_at is not None:
                if time.time() - spent_at >= family.grace:
                    family.counts["reuses"] += 1
                    current = len(family.spent_at) - 1
                    if family.lenient:
                        self.log("reused", family=family.name, token=rotation, current=current, client=client)
                        return (*refused, family, None)
                    family.alive = False
                    family.killed_by = rotation
                    self.log("killed", family=family.name, token=rotation, current=current, client=client)
                    return (*refused, family, None)
                # The answer to it may have been lost: what was given then counts as spent from here on.
                family.counts["repeats"] += 1
                family.spent_at[-1] = family.spent_at[-1] or time.time()
            else:
                family.spent_at[rotation] = time.time()
            answer = self.mint(family)
            family.counts["rotations"] += 1
            self.log("rotated", family=family.name, to=len(family.spent_at) - 1, client=client)
            return 200, answer, family, len(family.spent_at) - 1

    def fault_for(self, family):
        with self.lock:
            self.faults = [fault for fault in self.faults if fault.get("until", math.inf) > time.monotonic()]
            for fault in self.faults:
                if fault.get("family") in (None, family.name if family else None):
                    fault["times"] -= 1
                    if fault["times"] <= 0:
                        self.faults.remove(fault)
                    self.log("fault", kind=fault["kind"], family=family.name if family else None)
                    return fault
        return None

    def add_fault(self, wish):
        fault = {"times": 1, **wish}
        if "for" in wish:
            fault |= {"times": math.inf, "until": time.monotonic() + wish["for"]}
        with self.lock:
            self.faults.append(fault)
        return 200, {}

    def end_access(self, name):
        """From here on the resource refuses every access token of this family up to the last that it took. A newer one
        is not ended before its first use: nobody could tell that from a resource that has not heard of it yet."""
        with self.lock:
            family = self.families.get(name)
            if family is None:
                return 404, {"error": "there is no such family"}
            family.access_from = family.used + 1
            self.log("access-ended", family=name)
            return 200, {}

    def answered(self, family, rotation, client):
        if family is not None and rotation is not None:
            with self.lock:
                family.answered = max(family.answered, rotation)
                self.log("answered", family=family.name, to=rotation, client=client)

    def broke(self, family):
        if family is not None:
            with self.lock:
                family.counts["answers_broken"] += 1

    def seen(self, name):
        with self.lock:
            if name is not None:
                family = self.families.get(name)
                return (200, family.told()) if family else (404, {"error": "there is no such family"})
            families = [family.told() for family in self.families.values()]
        counted = ("handed_out", "requests", "rotations", "repeats", "reuses", "refusals", "answers_broken")
        sums = {key: sum(told[key] for told in families) for key in counted}
        dead = sum(not told["alive"] for told in families)
        return 200, {"families": families, "killed": dead, "unknown_tokens": self.unknown_tokens, "sums": sums}

    def whose(self, token):
        with self.lock:
            family, rotation = (self.refresh.get(token) or self.access.get(token) or (None, None))[:2]
            if family is None:
                return 404, {"error": "never handed out"}
            return 200, {"family": family.name, "rotation": rotation, "current": rotation == len(family.spent_at) - 1}

    def serves(self, token):
        """Whether a resource takes this access token: it lives out its time unless the family was killed."""
        with self.lock:
            family, rotation, ends_at = self.access.get(token, (None, None, 0))
            good = family is not None and family.alive and rotation >= family.access_from and time.time() < ends_at
            if good:
                family.used = max(family.used, rotation)
            return good


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    judge: Judge

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        pass

    def content(self):
        length = int(self.headers.get("content-length") or 0)
        return self.rfile.read(min(length, BODY_BYTES_MAX)).decode()

    def wish(self):
        return json.loads(self.content() or "{}")

    def head(self, status, length, kind="application/json"):
        lines = [
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}",
            f"content-type: {kind}",
            "cache-control: no-store",
            f"content-length: {length}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def answer(self, status, body):
        """Head and body in one piece, so that nothing waits for an acknowledgement."""
        content = json.dumps(body).encode()
        self.connection.sendall(self.head(status, len(content)) + content)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/seen":
            return self.answer(*self.judge.seen(parse_qs(url.query).get("family", [None])[0]))
        if url.path == "/resource":
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            good = self.judge.serves(token)
            return self.answer(200 if good else 401, {"ok": True} if good else {"error": "invalid_token"})
        return self.answer(404, {"error": "no such endpoint"})

    def do_POST(self):
        path = urlsplit(self.path).path
        if path == "/token":
            return self.token()
        wish = self.wish()
        if path == "/family":
            return self.answer(*self.judge.new_family(wish))
        if path == "/whose":
            return self.answer(*self.judge.whose(wish.get("token")))
        if path == "/fault":
            return self.answer(*self.judge.add_fault(wish))
        if path == "/end-access":
            return self.answer(*self.judge.end_access(wish.get("family")))
        return self.answer(404, {"error": "no such endpoint"})

    def client(self, form):
        """What the client calls itself: the part of its secret after the last colon, so that a test can tell
        processes apart that are one client. Any secret is taken."""
        basic = self.headers.get("authorization", "")
        secret = form.get("client_secret", [""])[0]
        if basic.startswith("Basic "):
            secret = unquote_plus(base64.b64decode(basic[6:]).decode().partition(":")[2])
        return secret.rpartition(":")[2]

    def token(self):
        form = parse_qs(self.content())
        if form.get("grant_type") != ["refresh_token"] or len(form.get("refresh_token", [])) != 1:
            return self.answer(400, {"error": "invalid_request"})
        judge, token = self.judge, form["refresh_token"][0]
        client = self.client(form)
        fault = judge.fault_for(judge.refresh.get(token, (None, None))[0])
        kind = fault and fault["kind"]
        if kind == "unavailable":  # nothing is carried out
            return self.answer(fault.get("status", 503), {"error": "temporarily_unavailable"})
        if kind == "drop-before":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if kind == "hold":  # carried out late
            time.sleep(fault.get("seconds", 1))
        status, body, family, rotation = judge.redeem(token, client)
        if family and rotation is not None and family.latency:
            time.sleep(family.latency)
        if kind == "delay":  # carried out, and told late
            time.sleep(fault.get("seconds", 1))
        content = json.dumps(body).encode()
        if kind in ("drop", "cut"):
            whole = self.head(status, len(content)) + content
            self.close_connection = True
            judge.broke(family)
            if kind == "cut":
                self.connection.sendall(whole[: len(whole) - len(content) // 2])
            return self.connection.shutdown(socket.SHUT_RDWR)
        try:
            self.connection.sendall(self.head(status, len(content)) + content)
            judge.answered(family, rotation, client)
        except OSError:
            self.close_connection = True
            judge.broke(family)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        # A client that was killed in the middle of a request is what this is for.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any that is free")
    parser.add_argument("--events", action="store_true", help="print what happens, too; must be read")
    parser.add_argument("--log", help="write what happens to this file, a JSON object a line")
    arguments = parser.parse_args()
    Handler.judge = Judge(arguments.log, arguments.events)
    server = Server(("127.0.0.1", arguments.port), Handler)
    port = server.server_address[1]
    print(json.dumps({"port": port, "origin": f"http://127.0.0.1:{port}"}), flush=True)

    def end_with_the_test():
        # Whoever started us holds the other end of standard input; its death is ours.
        while sys.stdin.buffer.read(1024):
            pass
        server.shutdown()

    threading.Thread(target=end_with_the_test, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
