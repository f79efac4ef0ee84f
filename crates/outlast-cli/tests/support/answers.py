"""Runs a command in a terminal of its own and gives the answers it is started with, one for each question.
Prints how many questions were asked, then everything that the terminal showed."""
import json
import os
import pty
import select
import sys

answers, command = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
shown, asked = b"", 0
while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    if not ready:
        break
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    # A question is a line that has not ended.
    if shown.endswith(b": ") and asked < len(answers):
        os.write(terminal, answers[asked].encode() + b"\n")
        asked += 1
_, status = os.waitpid(child, 0)
print(asked)
print(shown.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(status))
