"""Reads of the cache and of SQLite in one worker, without HTTP between them."""

import http.client
import json
import statistics

from load import cpu_ns
from servers import Refused, Server
from table import show

READS = (
    ("cache, 100 bytes", 1, 400000),
    ("cache, a table", 1, 200000),
    ("SQLite, a row by key", 1, 20000),
    ("SQLite, a row by key", 64, 100000),
)


def run(args):
    rows = []
    with Server("moongate") as server:
        for what, coroutines, n in READS:
            ask(server, what, coroutines, n // 10)  # warm
            rounds = [measure(server, what, coroutines, n) for _ in range(args.rounds)]
            rate, cpu = (statistics.median(r[i] for r in rounds) for i in (0, 1))
            rows.append([what, coroutines, f"{rate:.0f}", f"{cpu:.2f}"])
    show("stores  reads in one worker", ["read", "coroutines", "reads/s", "CPU us/read"], rows)


def measure(server, what, coroutines, n):
    before = cpu_ns(server.pids())
    seconds = ask(server, what, coroutines, n)
    return n / seconds, (cpu_ns(server.pids()) - before) / 1000 / n


def ask(server, what, coroutines, n):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.request("POST", "/reads", json.dumps({"what": what, "coroutines": coroutines, "n": n}))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise Refused(f"/reads {what}: {answer.status} {text!r}")
    return json.loads(text)["seconds"]
