"""Counts that do not depend on the machine's mood: system calls (strace) and instructions (valgrind) of a request."""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile

from client import Client
from load import check_answer, wrk
from servers import ROOT, Refused, Server, available, behind
from table import show
from works import NGINX_LUA

OUT = os.path.join(ROOT, "build", "bench")
WHO = ("floor", "moongate", NGINX_LUA, "nginx", "haproxy", "relay alone", "memory")
TRACE_S = 2
WARM_REQUESTS = 2000
COUNTED_REQUESTS = 10000
DEPTH = 16  # as in wrk.lua
HANDLERS = 128


def need(tool):
    if not shutil.which(tool):
        raise Refused(f"{tool} is not installed (apt-get install {tool})")


def entries_of(work):
    return [entry for entry in work.entries if entry.label in WHO and available(entry.server)]


def upstream_of(work):
    """Runs what the work's servers ask, if they do."""
    return behind(work.upstream) if work.upstream else contextlib.nullcontext()


def syscalls(name, work):
    need("strace")
    rows = []
    for entry in entries_of(work):
        with upstream_of(work), Server(entry.server) as server:
            check_answer(server, entry.path, work.body)
            wrk(server, entry.path, work.connections, 1, work.mode)
            calls, requests = traced(server, entry.path, work)
        each = {call: n / requests for call, n in calls.items() if n / requests >= 0.001}
        listed = "  ".join(f"{call} {n:.3f}" for call, n in sorted(each.items(), key=lambda item: -item[1]))
        rows.append([entry.label, f"{sum(each.values()):.3f}", listed])
    show(f"{name}  system calls a request", ["server", "all", "each"], rows)


def traced(server, path, work):
    """Calls by name while wrk ran, and wrk's number of requests."""
    table = os.path.join(OUT, "strace.txt")
    attach = [word for pid in server.pids() for word in ("-p", str(pid))]
    strace = subprocess.Popen(["strace", "-f", "-c", "-o", table, *attach], stderr=subprocess.PIPE)
    try:
        strace.stderr.readline()  # "Process N attached"
        requests = wrk(server, path, work.connections, TRACE_S, work.mode)["requests"]
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate()
    calls = {}
    with open(table, encoding="ascii") as f:
        for fields in (line.split() for line in f):
            # % time, seconds, usecs/call, calls, [errors,] syscall
            if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
    return calls, requests


def instructions(name, work):
    need("valgrind")
    rows = []
    for entry in entries_of(work):
        start = executed(entry, work, WARM_REQUESTS)
        each = (executed(entry, work, WARM_REQUESTS + COUNTED_REQUESTS) - start) / COUNTED_REQUESTS
        rows.append([entry.label, f"{each:.0f}"])
    show(f"{name}  instructions a request in user space (one connection)", ["server", "instructions"], rows)


def executed(entry, work, requests):
    """Instructions of a whole run that served so many requests: start and stop cancel out between two runs."""
    with tempfile.TemporaryDirectory(prefix="moongate-callgrind-") as out:
        # The reader of the configuration gives up root, and could not write its count at its end.
        wrap = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--trace-children-skip-by-arg=_collect",
                f"--log-file={out}/%p.log", f"--callgrind-out-file={out}/%p.out"]
        with upstream_of(work), Server(entry.server, wrap) as server:
            send(server.port, entry.path, requests, work.mode)
        total = 0
        for log in glob.glob(os.path.join(out, "*.log")):
            with open(log, encoding="ascii", errors="replace") as f:
                total += sum(int(n) for n in re.findall(r"Collected : (\d+)", f.read()))
    if not total:
        raise Refused(f"{entry.label}: valgrind counted nothing")
    return total


def send(port, path, requests, mode):
    """Asks over one connection, in wrk.lua's manner."""
    batch = DEPTH if mode == "pipeline" else 1
    with Client(port) as client:
        for n in range(requests // batch):
            turn = f"/r{n % HANDLERS:03d}/42" if mode == "cycle" else path
            if client.ask(*[turn] * batch)[0] != 200:
                raise Refused(f"{turn}: an answer other than 200")
