"""What recording one step costs others, with the settings with which they survive a power cut.

Each step is the same small one: its key and the output {"page": N, "rows": 200}. Measured beside each other
in one folder, after one sync of a preallocated log in the same folder.

    bench/tasks.sh            makes what this needs, and runs it beside our own
"""

import json
import os
import shutil
import sys
import tempfile
import time
from statistics import median

FRAME = 128


def times(steps, one):
    took = []
    for number in range(steps):
        began = time.perf_counter()
        one(number)
        took.append(time.perf_counter() - began)
    return took


def synced_log(folder, steps):
    """The floor: one write and one fdatasync into space that is on the disk already."""
    file = os.open(os.path.join(folder, "log"), os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, bytes(FRAME * steps))
    os.fsync(file)

    def one(number):
        os.pwrite(file, b"1" * FRAME, number * FRAME)
        os.fdatasync(file)

    took = times(steps, one)
    os.close(file)
    return took


def rewritten_json(folder, steps):
    """The usual checkpoint: the whole state as JSON, written beside, synced, renamed, the folder synced."""
    path, state = os.path.join(folder, "state.json"), {}
    directory = os.open(folder, os.O_RDONLY)

    def one(number):
        state[f"page-{number}"] = {"page": number, "rows": 200}
        with open(path + ".new", "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        os.fsync(directory)

    took = times(steps, one)
    os.close(directory)
    return took


def sqlite_saver(folder, name):
    import sqlite3

    from langgraph.checkpoint.sqlite import SqliteSaver

    connection = sqlite3.connect(os.path.join(folder, name), check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    modes = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2], modes
    return connection, saver


def graph(folder, steps):
    """A graph of LangGraph with one node that runs that often: what the node wrote, then the checkpoint."""
    from typing import TypedDict

    from langgraph.graph import END, START, StateGraph

    State = TypedDict("State", {"page": int, "rows": int})
    at = []

    def page(state):
        at.append(time.perf_counter())
        return {"page": state["page"] + 1, "rows": 200}

    connection, saver = sqlite_saver(folder, "graph.db")
    builder = StateGraph(State)
    builder.add_node("page", page)
    builder.add_edge(START, "page")
    builder.add_conditional_edges("page", lambda state: END if state["page"] > steps else "page")
    config = {"configurable": {"thread_id": "bench"}, "recursion_limit": steps + 10}
    builder.compile(checkpointer=saver).invoke({"page": 0, "rows": 0}, config, durability="sync")
    connection.close()
    return [after - before for before, after in zip(at, at[1:])]


def sqlite_two_commits(mode):
    """A table in SQLite: a row when the step begins and its outcome when it ends, one writer, full syncs."""

    def run(folder, steps):
        import sqlite3

        connection = sqlite3.connect(os.path.join(folder, f"{mode}.db"), isolation_level=None)
        for setting in ("locking_mode=EXCLUSIVE", f"journal_mode={mode}", "synchronous=FULL"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("CREATE TABLE step (key TEXT PRIMARY KEY, output TEXT) WITHOUT ROWID")

        def one(number):
            connection.execute("INSERT INTO step VALUES (?, NULL)", (f"page-{number}",))
            output = json.dumps({"page": number, "rows": 200})
            connection.execute("UPDATE step SET output = ? WHERE key = ?", (output, f"page-{number}"))

        took = times(steps, one)
        connection.close()
        return took

    return run


def langgraph(folder, steps):
    """LangGraph's SqliteSaver: the checkpoint of a step alone, in its own WAL journal, with SQLite's full sync."""
    from langgraph.checkpoint.base import empty_checkpoint

    connection, saver = sqlite_saver(folder, "langgraph.db")
    config = {"configurable": {"thread_id": "bench", "checkpoint_ns": ""}}

    def one(number):
        nonlocal config
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"output": {"page": number, "rows": 200}}
        config = saver.put(config, checkpoint, {"source": "loop", "step": number}, {})

    took = times(steps, one)
    connection.close()
    return took


def dbos(folder, steps):
    """DBOS on SQLite: one workflow of that many steps, in SQLite's rollback journal with its full sync."""
    from dbos import DBOS, DBOSConfig

    path = os.path.join(folder, "dbos.sqlite")
    config: DBOSConfig = {"name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"}
    DBOS(config=config)

    @DBOS.step()
    def page(number):
        return {"page": number, "rows": 200}

    took = []

    @DBOS.workflow()
    def harvest():
        took.extend(times(steps, page))

    DBOS.launch()
    harvest()
    DBOS.destroy()
    return took


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    folder = tempfile.mkdtemp(dir=".")
    try:
        floor = median(synced_log(folder, steps))
        print(f"{steps} steps each; one fdatasync of a preallocated log: {floor * 1e6:.0f} us")
        for name, run in (
            ("LangGraph SqliteSaver, its put alone", langgraph),
            ("LangGraph, a node of a graph", graph),
            ("SQLite PERSIST, begin and end", sqlite_two_commits("PERSIST")),
            ("SQLite TRUNCATE, begin and end", sqlite_two_commits("TRUNCATE")),
            ("DBOS, SQLite", dbos),
            ("rewritten JSON", rewritten_json),
        ):
            took = run(folder, steps)
            ends = max(1, steps // 10)
            first, last = median(took[:ends]), median(took[-ends:])
            middle = median(took)
            print(
                f"{name}: {middle * 1e6:.0f} us a step at the median, {middle / floor:.1f} of a sync; "
                f"last tenth {last / first:.2f} of the first"
            )
    finally:
        shutil.rmtree(folder)


main()
