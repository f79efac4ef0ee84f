"""An agent as people write them: base address and key are read once, at the start.

Eight workers call the API for the given number of seconds; ends in one line of JSON that counts
the answers by status; what was not 200 is told on standard error. Knows nothing of Outlast.
"""
import collections
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse

BASE = urllib.parse.urlsplit(os.environ["OUTLAST_CRM_URL"])
KEY = os.environ["OUTLAST_CAPABILITY"]
SECONDS = float(sys.argv[1])
WORKERS = 8
counts, lock = collections.Counter(), threading.Lock()


def work(end):
    connection = http.client.HTTPConnection(BASE.hostname, BASE.port, timeout=60)
    number = 0
    while time.monotonic() < end:
        number += 1
        body = b"payload" if number % 2 else None
        connection.request("POST" if body else "GET", BASE.path + "/api/echo", body, {"Authorization": "Bearer " + KEY})
        response = connection.getresponse()
        content = response.read()
        with lock:
            counts[response.status] += 1
            if response.status != 200:
                at, code = round(SECONDS - (end - time.monotonic()), 3), response.headers.get("outlast-code")
                print(f"{at} s: {response.status} {code} {content[:300]}", file=sys.stderr)
        time.sleep(0.01)


end = time.monotonic() + SECONDS
threads = [threading.Thread(target=work, args=(end,)) for _ in range(WORKERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(counts))
