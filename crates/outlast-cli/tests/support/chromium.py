"""Signs in with a real Chromium, as a person would: fills in the login page, presses the button on every
page that has one, and stops at the page that the command itself shows. Speaks WebDriver to chromedriver."""
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
profile = tempfile.mkdtemp()
driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, method=method)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


def patiently(what):
    for _ in range(300):
        try:
            return what()
        except OSError:
            time.sleep(0.1)
    raise SystemExit("chromium does not answer")


try:
    patiently(lambda: call("GET", "/status"))
    options = {"args": FLAGS + [f"--user-data-dir={profile}"]}
    wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
    session = "/session/" + call("POST", "/session", wanted)["sessionId"]
    call("POST", session + "/url", {"url": sys.argv[1]})

    def find(selector):
        found = call("POST", session + "/elements", {"using": "css selector", "value": selector})
        return [session + "/element/" + each[ELEMENT] for each in found]

    for _ in range(50):
        if "/callback" in call("GET", session + "/url"):
            break
        for selector, text in (("[name=login]", "alice"), ("[name=password]", "wonderland")):
            for element in find(selector):
                call("POST", element + "/value", {"text": text})
        for button in find("button")[:1]:
            call("POST", button + "/click", {})
        time.sleep(0.1)
    call("DELETE", session)
finally:
    driver.terminate()
    driver.wait()
    shutil.rmtree(profile, ignore_errors=True)
