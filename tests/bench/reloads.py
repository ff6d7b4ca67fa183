"""W7: five reloads under load: connections that are lost, requests that fail, and what it does to the latency."""

import os
import signal
import statistics
import threading
import time

from client import Client
from load import wrk
from servers import Refused, Server, available
from table import show, verdict

CONNECTIONS = 64
RELOADS = 5
LEAST_SECONDS = 5
GOAL_P99 = 1.25
WHO = {"nginx+Lua": "nginx", "moongate": "moongate"}
PATH = "/users/42"


def run(args):
    seconds = max(args.seconds, LEAST_SECONDS)
    who = {label: server for label, server in WHO.items() if available(server)}
    rounds = [{label: measure(server, seconds) for label, server in who.items()} for _ in range(args.rounds)]
    header = ["server", f"dropped of {CONNECTIONS}", "failed requests", "p99 ms quiet", "p99 ms", "x quiet", "goal"]
    show(f"W7  {RELOADS} reloads in {seconds} s of W2's load, {CONNECTIONS} connections", header,
         [row(label, [r[label] for r in rounds]) for label in who])


def row(label, figures):
    dropped = max(f["dropped"] for f in figures)
    failed = max(f["failed"] for f in figures)
    ratio = statistics.median(f["p99"] / f["quiet"] for f in figures)
    met = dropped == 0 and failed == 0 and ratio <= GOAL_P99
    return [label, dropped, failed, f"{statistics.median(f['quiet'] for f in figures) / 1000:.2f}",
            f"{statistics.median(f['p99'] for f in figures) / 1000:.2f}", f"{ratio:.2f}",
            verdict(f"0, 0, p99 <= {GOAL_P99} x quiet", met) if label == "moongate" else ""]


def measure(name, seconds):
    """The worst of a round: connections that idle beside the load are asked again when it is over."""
    with Server(name) as server:
        wrk(server, PATH, CONNECTIONS, 1)
        quiet = wrk(server, PATH, CONNECTIONS, seconds)
        held = [Client(server.port) for _ in range(CONNECTIONS)]
        for client in held:
            if client.ask(PATH)[0] != 200:
                raise Refused("W7: an answer other than 200")
        reloader = threading.Thread(target=reload_often, args=(server, seconds))
        reloader.start()
        figures = wrk(server, PATH, CONNECTIONS, seconds, may_fail=True)
        reloader.join()
        dropped = sum(not is_alive(client) for client in held)
    return {"quiet": quiet["p99_us"], "p99": figures["p99_us"], "failed": figures["errors"], "dropped": dropped}


def reload_often(server, seconds):
    for _ in range(RELOADS):
        time.sleep(seconds / (RELOADS + 1))
        os.kill(server.process.pid, signal.SIGHUP)


def is_alive(client):
    try:
        return client.ask(PATH)[0] == 200
    except OSError:
        return False
    finally:
        client.close()
