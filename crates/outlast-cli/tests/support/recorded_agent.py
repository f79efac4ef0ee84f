# An agent that knows nothing of tasks: each of its fifty requests holds what was answered to the one before.
import hashlib, http.client, os, signal, sys, time, urllib.parse

calls, dies_at, place = 50, int(os.environ.get("DIES_AT", "0")), int(os.environ.get("PLACE", "40"))
base = urllib.parse.urlsplit(os.environ["OUTLAST_CRM_URL"])
key = {"Authorization": "Bearer " + os.environ["OUTLAST_CAPABILITY"]}
connection = http.client.HTTPConnection(base.netloc, timeout=60)


def ask(method, path, body=None):
    connection.request(method, base.path + path, body, key)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, (answer.status, text)
    return text, answer.getheader("Outlast-Replayed") == "1"


began, replayed, last = time.monotonic(), 0, b"begin"
for call in range(1, calls + 1):
    if call % 3 == 0:
        text, again = ask("GET", "/page?number=%d" % call)
    elif call % 3 == 1:
        text, again = ask("POST", "/chat", b"turn %d after " % call + last)
    else:
        text, again = ask("POST", "/events", b"turn %d after " % call + last)
    replayed += again
    last = hashlib.sha256(text).hexdigest().encode()
    print(call, last.decode(), flush=True)
    if call == place:
        print("the first %d answers took %.3f s, %d of them from the record" % (place, time.monotonic() - began, replayed), file=sys.stderr, flush=True)
    if call == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
print("replayed", replayed, file=sys.stderr)
