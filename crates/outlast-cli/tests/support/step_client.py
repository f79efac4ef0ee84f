"""Runs the steps of a task over the control socket, each of which charges through the proxy, and is made to be
killed at any moment, as is the sidecar.

What the sidecar said is recorded is told on standard output, a line for each step. A step that a person has to
decide on is told as the last line, with exit code 65. It begins with the step of the number that it is given."""

import http.client, json, os, socket, sys, time
from urllib.parse import urlsplit

TASK, FIRST, STEPS, KEYED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "keyed"
BROKEN = (OSError, http.client.HTTPException, ValueError)


class Outlast(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(os.environ["OUTLAST_SOCKET"])

    def post(self, path, body):
        """Status and content; nothing where the sidecar went away."""
        try:
            # In one piece, for those who count requests.
            self.putrequest("POST", path, skip_accept_encoding=True)
            text = json.dumps(body).encode()
            self.putheader("Content-Length", str(len(text)))
            self.endheaders(text)
            answer = self.getresponse()
            return answer.status, json.load(answer)
        except BROKEN:
            self.close()
            time.sleep(0.02)
            return 0, {}


def charge(key):
    base = urlsplit(os.environ["OUTLAST_PROXY"])
    fields = {"Authorization": "Bearer " + os.environ["OUTLAST_CAPABILITY"]}
    if KEYED:
        fields |= {"Outlast-Task": TASK, "Outlast-Step": key}
    api = http.client.HTTPConnection(base.netloc, timeout=30)
    try:
        api.request("POST", base.path + "/api/charge", "step=" + key, fields)
        answer = api.getresponse()
        text = answer.read().decode()
        return text if answer.status < 400 else None
    except BROKEN:
        return None
    finally:
        api.close()


def told(key, output):
    print(json.dumps(["done", key, output]), flush=True)


def complete(outlast, path, run, output):
    """Whether it is recorded. As often as it takes: the sidecar may have been started anew."""
    while True:
        status, _ = outlast.post(path + "/complete", {"run": run, "output": output})
        if status not in (0, 503):
            return status == 200


def step(outlast, key):
    path = f"/v1/tasks/{TASK}/steps/{key}"
    while True:
        wish = {"tied": True, "idempotent": KEYED, "grants": ["crm"]}
        status, begun = outlast.post(path + "/begin?wait=5s", wish)
        if status == 200 and begun["state"] == "done":
            return told(key, begun["output"])
        if status == 200:
            output = charge(key)
            if output is not None and complete(outlast, path, begun["run"], output):
                return told(key, output)
            # Nobody knows what became of it: whoever begins it next is told.
            outlast.close()
        elif status == 409 and begun["code"] == "step-ambiguous" and not KEYED:
            print(json.dumps(["ambiguous", key]), flush=True)
            sys.exit(65)
        elif status not in (0, 503):
            sys.exit(f"{status} {begun}")
        elif status == 503:
            time.sleep(0.02)


sidecar = Outlast("localhost")
for number in range(FIRST, STEPS):
    step(sidecar, f"charge-{number}")
