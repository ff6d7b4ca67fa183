"""W4mem: what a relayed request costs in user space while it waits, and what 1 GiB does to a proxy on its way through."""

import contextlib
import statistics
import time

from client import Client
from load import rss_bytes, wrk
from servers import Refused, Server, available, connected_ports, raise_descriptor_limit
from table import show

WAITING = 4000
WHO = {"nginx": "nginx (proxy)", "haproxy": "haproxy", "h2o": "h2o", "moongate": "moongate (proxy)"}
GOAL_BYTES = 3 * 1024
GOAL_FLAT_MIB = 2
MIB = 1024 * 1024
GIB = 1024 * MIB
PIECE = b"x" * MIB
READY_S = 20


def run(args):
    who = {label: server for label, server in WHO.items() if available(server)}
    rounds = []
    with Server("origin") as origin:
        for _ in range(args.rounds):
            rounds.append({label: measure(server, origin) for label, server in who.items()})
    header = ["server", "bytes/request in flight", "(min-max)", "idle connection", "beside two", "1 GiB down, MiB",
              "1 GiB up, MiB", "base MiB", "goal"]
    show(f"W4mem  {WAITING} relayed requests that wait, and contents of 1 GiB: growth in user space", header,
         [row(label, [r[label] for r in rounds]) for label in who])


def row(label, figures):
    each = [f["waiting"] for f in figures]
    idle = statistics.median(f["idle"] for f in figures)
    beside = statistics.median(each) - 2 * idle
    down, up, base = (statistics.median(f[key] for f in figures) / MIB for key in ("down", "up", "base"))
    met = beside <= GOAL_BYTES and max(down, up) <= GOAL_FLAT_MIB
    told = f"<= {GOAL_BYTES} B beside, flat (<= {GOAL_FLAT_MIB} MiB): {'met' if met else 'NOT MET'}"
    return [label, f"{statistics.median(each):.0f}", f"{min(each):.0f}-{max(each):.0f}", f"{idle:.0f}", f"{beside:.0f}",
            f"{down:.1f}", f"{up:.1f}", f"{base:.1f}", told if label == "moongate" else ""]


def measure(name, origin):
    """Bytes of user space. Waiting requests come last: what they leave behind would hide the growth of the others."""
    if raise_descriptor_limit() < 2 * WAITING + 1000:
        raise Refused(f"W4mem needs {2 * WAITING + 1000} descriptors: raise the hard limit (ulimit -Hn)")
    with Server(name) as server:  # the memory of another one would hide it
        rests = idle(server)
    with Server(name) as server:
        warm_up(server)
        base = resident(server)
        down = peak(server, download)
        up = peak(server, upload)
        return {"base": base, "down": down, "up": up, "idle": rests, "waiting": waiting(server, origin)}


def warm_up(server):
    wrk(server, "/1024", 64, 1)  # code and allocator pools are no request's cost


def idle(server):
    """What a client's connection takes that waits for the next request; one to an upstream is taken for as large."""
    warm_up(server)
    before = resident(server)
    with contextlib.ExitStack() as stack:
        for _ in range(WAITING):
            client = stack.enter_context(Client(server.port))
            client.socket.sendall(b"GET /16 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            client.answer()
        return (resident(server) - before) / WAITING


def resident(server):
    return sum(rss_bytes(server.pids()))


def waiting(server, origin):
    before = resident(server)
    with contextlib.ExitStack() as stack:
        for _ in range(WAITING):
            client = stack.enter_context(Client(server.port))
            client.socket.sendall(b"GET /never HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        deadline = time.monotonic() + READY_S
        while len(connected_ports(origin.port)) < WAITING:
            if time.monotonic() > deadline:
                raise Refused(f"{server.name}: only {len(connected_ports(origin.port))} of {WAITING} are relayed")
            time.sleep(0.1)
        return (resident(server) - before) / WAITING


def peak(server, transfer):
    before = resident(server)
    most = before
    with Client(server.port) as client:
        for _ in transfer(client):
            most = max(most, resident(server))
    return most - before


def download(client):
    client.socket.sendall(f"GET /{GIB} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    taken, told = 0, 0
    while taken < GIB:
        more = len(client.socket.recv(MIB))
        if not more:
            raise Refused("W4mem: the content ended before its end")
        taken += more
        if taken - told >= 32 * MIB:
            told = taken
            yield


def upload(client):
    client.socket.sendall(f"POST /5 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {GIB}\r\n\r\n".encode())
    for n in range(GIB // MIB):
        client.socket.sendall(PIECE)
        if n % 32 == 0:
            yield
    if client.answer()[0] != 200:
        raise Refused("W4mem: the upload was not answered 200")
