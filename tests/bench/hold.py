"""C100K: 100,000 connections held over reloads by six workers, idle ones and WebSockets that hear one topic."""

import os
import resource
import shutil
import statistics
import subprocess
import time

import servers
from client import Client
from load import cpu_ns, pss_bytes
from servers import HERE, MOONGATE, ROOT, WITH_US, Refused, Server
from table import show, verdict

HOLD = os.path.join(HERE, "hold")
LOAD = os.path.join(ROOT, "build", "bench", "hold_load")
CHANGING = os.path.join(ROOT, "build", "hold")  # the copies that are edited
PORT = 18103
RELOADS = 5
RELOAD_S = 60
SPARE = 1000  # descriptors of a process that are not of the load's connections
GOALS = {"http": 500, "websocket": 480 + 1536}  # bytes a connection
MIB = 1024 * 1024
MOODS = ("fine", "wrong", "silent", "lost")

servers.SERVERS["moongate (C100K)"] = (PORT, [MOONGATE, "run", os.path.join(CHANGING, "moongate.lua")])


def run_idle(args):
    run(args, "http", "C100K", "idle keep-alive connections")


def run_websockets(args):
    run(args, "websocket", "W13x100K", "WebSockets that subscribe to one topic")


def run(args, kind, name, what):
    build = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", os.path.join(HOLD, "load.c"), "-o", LOAD]
    subprocess.run(build, check=True)
    held = measure(kind, args.connections)
    goal = GOALS[kind]
    missed = held["bytes"] > goal or any(held[mood] for mood in MOODS[1:])
    rows = [["moongate", f"{held['base'] / MIB:.1f}", f"{held['grown'] / MIB:.1f}", f"{held['bytes']:.0f}",
             f"{held['after'] / MIB:+.1f}", held["lost"], held["wrong"] + held["silent"], f"{held['reload_s']:.2f}",
             verdict(f"<= {goal} B, 0, 0", not missed)]]
    show(f"{name}  {args.connections} {what}, six workers, {RELOADS} reloads",
         ["server", "base MiB", "grown MiB", "bytes each", "MiB after reloads", "lost", "not answered", "reload s",
          "goal"], rows)
    if kind == "websocket":
        show("  a message to all of them", ["server", "s until the last has it", "CPU us each"],
             [["moongate", f"{held['broadcast_s']:.3f}", f"{held['broadcast_us']:.2f}"]])


class Crowd:
    """Processes of hold/load.c, whose connections are open: as many as their descriptors make necessary."""

    def __init__(self, kind, connections):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE
        processes = -(-connections // most)
        each = [connections // processes + (i < connections % processes) for i in range(processes)]
        self.loads = [subprocess.Popen(
            [*WITH_US, "taskset", "-c", "1", LOAD, f"127.0.0.{i + 2}", str(PORT), kind, str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for i, n in enumerate(each)]
        for load in self.loads:
            self.expect(load, "READY")

    def expect(self, load, word):
        line = load.stdout.readline().split()
        if not line or line[0] != word:
            self.kill()
            raise Refused("C100K: the load failed")
        return line[1:]

    def begin(self, what):
        for load in self.loads:
            load.stdin.write(what + "\n")
            load.stdin.flush()

    def end(self):
        """How many connections are in which mood, and when the last was done."""
        told = [self.expect(load, "RESULT") for load in self.loads]
        moods = {mood: sum(int(each[i]) for each in told) for i, mood in enumerate(MOODS)}
        return moods, max(float(each[-1]) for each in told)

    def do(self, what):
        self.begin(what)
        return self.end()[0]

    def kill(self):
        for load in self.loads:
            load.kill()
            load.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def measure(kind, connections):
    shutil.rmtree(CHANGING, ignore_errors=True)
    shutil.copytree(HOLD, CHANGING)
    write_word(0)
    with Server("moongate (C100K)") as server:
        with Crowd(kind, 64 * 6) as warm:  # code and traces are no connection's cost
            warm.do("ask " + word_of(0))
        base = sum(pss_bytes(server.pids()))
        with Crowd(kind, connections) as crowd:
            grown = sum(pss_bytes(server.pids())) - base
            figures = reload_often(server, crowd, kind, connections)
            after = sum(pss_bytes(server.pids())) - base - grown
    return {**figures, "base": base, "grown": grown, "bytes": grown / connections, "after": after}


def reload_often(server, crowd, kind, connections):
    """The worst that was seen after any reload: nobody who was there before it may be missing."""
    worst = dict.fromkeys(MOODS, 0)
    times, spent, reloads = [], [], []
    pids = server.pids()

    def note(moods):
        for mood in MOODS:
            worst[mood] = max(worst[mood], moods[mood])

    for n in range(RELOADS + 1):
        if n > 0:
            reloads.append(reload_once(n))
        if kind == "websocket":
            before, begun = cpu_ns(pids), time.monotonic()
            crowd.begin("hear " + word_of(n))
            say()
            moods, last = crowd.end()
            note(moods)
            times.append(last - begun)
            spent.append((cpu_ns(pids) - before) / 1000 / connections)
        note(crowd.do("ask " + word_of(n)))
        note(crowd.do("rest"))
    if server.pids() != pids:
        raise Refused("C100K: a process came or went")
    figures = {**worst, "reload_s": statistics.median(reloads)}
    if times:
        figures.update(broadcast_s=statistics.median(times), broadcast_us=statistics.median(spent))
    return figures


def say():
    with Client(PORT) as client:
        client.socket.sendall(b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
        if client.answer()[0] != 200:
            raise Refused("C100K: the message was not published")


def word_of(n):
    return f"word{n}"


def write_word(n):
    with open(os.path.join(HOLD, "app.lua"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(CHANGING, "app.lua"), "w", encoding="utf-8") as f:
        f.write(text.replace('"word0"', f'"{word_of(n)}"'))


def reload_once(n):
    """Seconds until all workers serve with other scripts."""
    write_word(n)
    begun = time.monotonic()
    command = [MOONGATE, "reload", os.path.join(CHANGING, "moongate.lua")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RELOAD_S)
    if done.returncode != 0:
        raise Refused(f"C100K: the reload failed: {done.stderr or done.stdout}")
    return time.monotonic() - begun
