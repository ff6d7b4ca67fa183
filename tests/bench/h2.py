"""W11: HTTP/2 without TLS, driven by h2load: CPU of a request with 32 and with one at a time, and idle connections."""

import os
import re
import socket
import statistics
import subprocess

import servers
from load import cpu_ns, rss_bytes
from servers import HERE, H2O, MOONGATE, NGINX, PEERS, ROOT, TEXT, WITH_US, Refused, Server, available
from table import show, verdict

H2 = os.path.join(HERE, "h2")
FILES = os.path.join(ROOT, "build", "bench", "h2root")
IDLE = 5000
GOAL_BYTES = 8192
GOAL_RATIO = 0.9

servers.SERVERS.update({
    "moongate h2": (18095, [MOONGATE, "run", os.path.join(H2, "moongate.lua"), "--workers", "0"]),
    "nginx h2": (18096, [NGINX, "-e", "stderr", "-p", PEERS, "-c", os.path.join(H2, "nginx.conf")]),
    "h2o h2": (18097, [H2O, "-c", os.path.join(H2, "h2o.conf")]),
    "nghttpd h2": (18098, ["nghttpd", "--no-tls", "-n1", "-d", FILES, "-a", "127.0.0.1", "18098"]),
    "node h2": (18099, ["node", os.path.join(H2, "node.js"), "18099"]),
})
WHO = {"nginx": "nginx h2", "h2o": "h2o h2", "nghttpd": "nghttpd h2", "node": "node h2", "moongate": "moongate h2"}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# Of a stream: GET http / of "localhost", and its end.
REQUEST = bytes([0, 0, 14, 1, 5, 0, 0, 0, 1]) + b"\x82\x86\x84\x41\x09localhost"


class H2Server(Server):
    def answers(self):
        try:
            return TEXT.encode() in one_request(self.port)
        except OSError:
            return False


def one_request(port, keep=False):
    """What comes until the text does; with `keep` the open connection instead."""
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.sendall(PREFACE + REQUEST)
    got = b""
    while TEXT.encode() not in got:
        data = sock.recv(65536)
        if not data:
            raise OSError("closed")
        got += data
    sock.sendall(bytes([0, 0, 0, 4, 1, 0, 0, 0, 0]))  # its settings are acknowledged
    if keep:
        return sock
    sock.close()
    return got


def h2load(server, streams, requests):
    command = [*WITH_US, "taskset", "-c", "1", "h2load", f"-n{requests}", "-c64", f"-m{streams}",
               f"http://127.0.0.1:{server.port}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    counts = re.search(r"requests: (\d+) total.* (\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    if done.returncode != 0 or not counts or int(counts[2]) != requests:
        raise Refused(f"{server.name}: h2load: {done.stderr or done.stdout}")


def measure(name, streams, requests):
    with H2Server(name) as server:
        h2load(server, streams, requests // 4)  # code and pools are warm
        pids = server.pids()
        before = cpu_ns(pids)
        h2load(server, streams, requests)
        return (cpu_ns(pids) - before) / 1000 / requests


def idle_bytes(name):
    with H2Server(name) as server:
        h2load(server, 1, 5000)
        pids = server.pids()
        before = sum(rss_bytes(pids))
        socks = [one_request(server.port, keep=True) for _ in range(IDLE)]
        grown = (sum(rss_bytes(pids)) - before) / IDLE
        for sock in socks:
            sock.close()
        return grown


def run(args):
    os.makedirs(FILES, exist_ok=True)
    for name in ("index.txt", "index.html"):
        with open(os.path.join(FILES, name), "w", encoding="ascii") as file:
            file.write(TEXT)
    who = {label: name for label, name in WHO.items() if available(name)}
    for streams, requests in ((32, 200000), (1, 100000)):
        rounds = [{label: measure(name, streams, requests) for label, name in who.items()} for _ in range(args.rounds)]
        show_cpu(f"W11  plain text over HTTP/2, 64 connections, -m {streams}", who, rounds)
    rows = []
    for label, name in who.items():
        grown = idle_bytes(name)
        rows.append([label, f"{grown:.0f}",
                     verdict(f"<= {GOAL_BYTES} B", grown <= GOAL_BYTES) if label == "moongate" else ""])
    show(f"W11  {IDLE} idle connections of HTTP/2, user space", ["server", "bytes/connection", "goal"], rows)


def show_cpu(title, who, rounds):
    ratios = [r["moongate"] / min(us for label, us in r.items() if label != "moongate") for r in rounds]
    rows = []
    for label in who:
        each = [r[label] for r in rounds]
        goal = verdict(f"<= {GOAL_RATIO} x the best ({statistics.median(ratios):.2f})",
                       statistics.median(ratios) <= GOAL_RATIO) if label == "moongate" else ""
        rows.append([label, f"{statistics.median(each):.2f}", f"{min(each):.2f}-{max(each):.2f}", goal])
    show(title, ["server", "us/request", "(min-max)", "goal"], rows)
