"""An agent that works with many grants at once, one request after the other on each, until its standard input
ends or its time is over. Ends in one line of JSON: the answers by status, what was not 200, and how long the
answers took. Knows nothing of Outlast.

    soak_agent.py SECONDS PAUSE GRANT...
"""
import collections
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse

BASE = urllib.parse.urlsplit(os.environ["OUTLAST_URL"])
HEADERS = {"Authorization": "Bearer " + os.environ["OUTLAST_CAPABILITY"]}
SECONDS, PAUSE, GRANTS = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
TROUBLES_MAX = 20
counts, troubles, waits, lock = collections.Counter(), [], [], threading.Lock()


def work(grant, began, place):
    connection = http.client.HTTPConnection(BASE.hostname, BASE.port, timeout=60)
    time.sleep(PAUSE * place)
    while time.monotonic() - began < SECONDS:
        asked = time.monotonic()
        connection.request("GET", f"{BASE.path}/{grant}/resource", headers=HEADERS)
        response = connection.getresponse()
        content = response.read()
        with lock:
            counts[response.status] += 1
            waits.append(time.monotonic() - asked)
            if response.status != 200 and len(troubles) < TROUBLES_MAX:
                code, said = response.headers.get("outlast-code"), content[:300].decode(errors="replace")
                troubles.append({
                    "second": round(asked - began, 3),
                    "asked": asked,
                    "answered": time.monotonic(),
                    "grant": grant,
                    "status": response.status,
                    "code": code,
                    "said": said,
                })
        time.sleep(PAUSE)


began = time.monotonic()
threads = [
    threading.Thread(target=work, args=(grant, began, place / len(GRANTS))) for place, grant in enumerate(GRANTS)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
waits.sort()
milliseconds = [round(waits[len(waits) * part // 1000] * 1000, 1) for part in (500, 990, 999)]
figures = dict(zip(("median_ms", "p99_ms", "p999_ms"), milliseconds), longest_ms=round(waits[-1] * 1000, 1))
print(json.dumps({"statuses": counts, "troubles": troubles, **figures}))
