"""W5: what an idle keep-alive connection costs in user space, after it has had one request."""

import statistics

from client import Client
from load import kernel_bytes, rss_bytes, wrk
from servers import Refused, Server, available, raise_descriptor_limit
from table import show, verdict

CONNECTIONS = 10000
GOAL_BYTES = 480
GOAL_BASE_MIB = 12
WHO = {"nginx+Lua": "nginx", "moongate": "moongate", "threads": "threads", "node": "node"}
MIB = 1024 * 1024


def run(args):
    who = {label: server for label, server in WHO.items() if available(server)}
    rounds = [{label: measure(server) for label, server in who.items()} for _ in range(args.rounds)]
    header = ["server", "bytes/connection", "(min-max)", "base MiB", "goal"]
    show(f"W5  {CONNECTIONS} idle keep-alive connections, user space", header,
         [row(label, [r[label] for r in rounds]) for label in who])


def row(label, figures):
    each = [f["user"] for f in figures]
    base_mib = statistics.median(f["base"] for f in figures) / MIB
    met = statistics.median(each) <= GOAL_BYTES and base_mib <= GOAL_BASE_MIB
    goal = f"<= {GOAL_BYTES} B, base <= {GOAL_BASE_MIB} MiB"
    return [label, f"{statistics.median(each):.0f}", f"{min(each):.0f}-{max(each):.0f}", f"{base_mib:.1f}",
            verdict(goal, met) if label == "moongate" else ""]


def measure(name):
    """Bytes: `base` of the largest process (the worker), of `all`; a connection in `user` space and the `kernel`."""
    if raise_descriptor_limit() < CONNECTIONS + 1000:
        raise Refused(f"W5 needs {CONNECTIONS + 1000} descriptors: raise the hard limit (ulimit -Hn)")
    with Server(name) as server:
        wrk(server, "/", 64, 1)  # code, JIT traces and allocator pools are no connection's cost
        pids = server.pids()
        kernel = kernel_bytes(pids)
        base = rss_bytes(pids)
        clients = [open_one(server.port) for _ in range(CONNECTIONS)]
        try:
            grown = sum(rss_bytes(pids)) - sum(base)
            kernel = kernel_bytes(pids) - kernel
            for client in clients:
                ask(client)  # all are still there, or the memory was not theirs
        finally:
            for client in clients:
                client.close()
    return {"base": max(base), "all": sum(base), "user": grown / CONNECTIONS, "kernel": kernel / CONNECTIONS}


def open_one(port):
    client = Client(port)
    ask(client)
    return client


def ask(client):
    if client.ask("/")[0] != 200:
        raise Refused("W5: an answer other than 200")
