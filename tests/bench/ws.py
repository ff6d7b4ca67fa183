"""W13: WebSockets: CPU of an echo, of a message to 10,000 subscribers for each of them, and idle ones."""

import os
import shutil
import statistics
import subprocess

import servers
from load import cpu_ns, rss_bytes
from servers import HERE, MOONGATE, ROOT, WITH_US, Refused, Server
from table import show, verdict

WS = os.path.join(HERE, "ws")
LOAD = os.path.join(ROOT, "build", "bench", "ws_load")
FLOOR = os.path.join(ROOT, "build", "bench", "ws_floor")
CONNECTIONS = 64
SUBSCRIBERS = 10000
MESSAGES = 50
IDLE = 5000
OURS = ("floor", "moongate")
GOAL_ECHO, GOAL_BROADCAST = 0.6, 0.5
GOAL_BYTES = 480 + 1536  # W5's connection, and what a WebSocket may add

servers.SERVERS.update({
    "floor ws": (18108, [FLOOR, "18108"]),
    "moongate ws": (18100, [MOONGATE, "run", os.path.join(WS, "moongate.lua"), "--workers", "0"]),
    "node ws": (18101, ["env", "NODE_PATH=/usr/share/nodejs", "node", os.path.join(WS, "node.js"), "18101"]),
})


def participants():
    """The names of those that are here, by label."""
    who = {"floor": "floor ws", "moongate": "moongate ws"}
    if shutil.which("node") and os.path.exists("/usr/share/nodejs/ws"):
        who["node ws"] = "node ws"
    bun = subprocess.run([os.path.join(WS, "bun.sh")], capture_output=True, text=True, check=False)
    if bun.returncode == 0:
        servers.SERVERS["bun"] = (18102, [bun.stdout.strip(), os.path.join(WS, "bun.js"), "18102"])
        who["bun"] = "bun"
    else:
        print(f"  Bun is left out: {bun.stderr.strip()}")
    return who


class Load:
    """bench/ws/load.c, whose connections are open."""

    def __init__(self, server, mode, connections, amount):
        self.server = server
        command = [*WITH_US, "taskset", "-c", "1", LOAD, str(server.port), mode, str(connections), str(amount)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.expect("READY")

    def expect(self, word):
        line = self.process.stdout.readline().split()
        if not line or line[0] != word:
            self.process.kill()
            raise Refused(f"{self.server.name}: the load failed")
        return line[1:]

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def run(self):
        """Messages and seconds."""
        self.say()
        messages, seconds = self.expect("RESULT")
        return int(messages), float(seconds)

    def end(self):
        self.say()
        self.process.wait()


def measure(name, mode, connections, amount):
    """Microseconds of the server's processor for each message that came back, and messages in a second."""
    with Server(name) as server:
        warm = Load(server, mode, CONNECTIONS, 1 if mode == "echo" else 200)
        warm.run()
        warm.end()
        load = Load(server, mode, connections, amount)
        before = cpu_ns(server.pids())
        messages, seconds = load.run()
        spent = cpu_ns(server.pids()) - before
        load.end()
        return {"cpu_us": spent / 1000 / messages, "rate": messages / seconds}


def idle_bytes(name):
    with Server(name) as server:
        warm = Load(server, "echo", CONNECTIONS, 1)
        warm.run()
        warm.end()
        before = sum(rss_bytes(server.pids()))
        load = Load(server, "idle", IDLE, 0)
        grown = (sum(rss_bytes(server.pids())) - before) / IDLE
        load.run()
        load.end()
        return grown


def compare(title, who, rounds, goal):
    best = [min((f["cpu_us"] for label, f in r.items() if label not in OURS), default=None) for r in rounds]
    rows = []
    for label in who:
        each = [r[label]["cpu_us"] for r in rounds]
        said = ""
        if label == "moongate" and best[0] is not None:
            ratio = statistics.median(us / b for us, b in zip(each, best))
            said = verdict(f"<= {goal} x the best ({ratio:.2f})", ratio <= goal)
        rate = statistics.median(r[label]["rate"] for r in rounds)
        rows.append([label, f"{statistics.median(each):.2f}", f"{min(each):.2f}-{max(each):.2f}", f"{rate:.0f}", said])
    show(title, ["server", "CPU us/message", "(min-max)", "messages/s", "goal"], rows)


def run(args):
    who = participants()
    for source, program in (("load.c", LOAD), ("floor.c", FLOOR)):
        build = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", os.path.join(WS, source), "-o", program]
        subprocess.run(build, check=True)
    works = (
        (f"W13  echo of 64 bytes, {CONNECTIONS} WebSockets", "echo", CONNECTIONS, args.seconds, GOAL_ECHO),
        (f"W13  64 bytes to {SUBSCRIBERS} subscribers, for each of them", "broadcast", SUBSCRIBERS, MESSAGES,
         GOAL_BROADCAST),
    )
    for title, mode, connections, amount, goal in works:
        rounds = [{label: measure(name, mode, connections, amount) for label, name in who.items()}
                  for _ in range(args.rounds)]
        compare(title, who, rounds, goal)
    rows = []
    for label, name in who.items():
        grown = idle_bytes(name)
        rows.append([label, f"{grown:.0f}",
                     verdict(f"<= {GOAL_BYTES} B", grown <= GOAL_BYTES) if label == "moongate" else ""])
    show(f"W13  {IDLE} idle WebSockets, user space", ["server", "bytes/socket", "goal"], rows)
