"""Runs a login on a machine whose loopback has the given addresses alone, and denies it in the browser's place.

Started in a network of its own: families.py ADDRESSES PROGRAM ARGUMENT..., ADDRESSES being any of v4, v6 and none.
Prints where the browser came back to and what it was told; ends with the login's exit code.
"""
import json
import subprocess
import sys
import urllib.parse
import urllib.request

wanted, command = sys.argv[1], sys.argv[2:]
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for family, address in (("v4", "127.0.0.1/8"), ("v6", "::1/128")):
    if family not in wanted:
        subprocess.run(["ip", "address", "delete", address, "dev", "lo"], check=True)

login = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
line = login.stdout.readline()
if line:
    address = urllib.parse.urlsplit(json.loads(line)["address"])
    query = dict(urllib.parse.parse_qsl(address.query))
    back = f"{query['redirect_uri']}?error=access_denied&state={query['state']}"
    # As browsers do, whatever the machine's name service says of localhost.
    literal = "127.0.0.1" if "v4" in wanted else "[::1]"
    page = urllib.request.urlopen(back.replace("//localhost:", f"//{literal}:"), timeout=10)
    print(query["redirect_uri"], page.status, flush=True)
sys.exit(login.wait())
