"""The servers under test: started on processor 0, proved to be the one that answers, stopped by pid."""

import atexit
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

from client import Client

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
HERE = os.path.join(ROOT, "tests", "bench")
MOONGATE = os.environ.get("MOONGATE") or os.path.join(ROOT, "build", "moongate")
PEERS = os.path.join(ROOT, "build", "peers")
NGINX = os.path.join(PEERS, "root", "usr", "sbin", "nginx")
HAPROXY = os.path.join(PEERS, "root", "usr", "sbin", "haproxy")
H2O = os.path.join(PEERS, "root", "usr", "bin", "h2o")
PROXY = os.path.join(HERE, "proxy")
FLOOR = os.path.join(ROOT, "build", "bench", "floor")
ORIGIN = os.path.join(ROOT, "build", "bench", "origin")
THREADS = os.path.join(ROOT, "build", "bench", "threads")
CHANGING = os.path.join(ROOT, "build", "reloads")  # where W7 keeps the copies that it edits

TEXT = "hello\n"
USER = json.dumps({"id": "42", "name": "user 42"}, separators=(",", ":"))



def cached_by(port, url):
    """W8's Moongate, whose cache is there."""
    return port, ["env", f"PORT={port}", f"CACHE_URL={url}", MOONGATE, "run", os.path.join(HERE, "redis", "moongate.lua"),
                  "--workers", "0"]


# nginx.conf and moongate.lua name their own ports: keep them in step. All lie below the range of outgoing ports.
SERVERS = {
    "floor": (18081, [FLOOR, "18081", "text/plain", TEXT]),
    "floor (json)": (18082, [FLOOR, "18082", "application/json", USER]),
    "floor (sleep)": (18088, [FLOOR, "18088", "text/plain", TEXT, "5"]),
    "nginx": (18083, [NGINX, "-e", "stderr", "-p", PEERS, "-c", os.path.join(HERE, "nginx.conf")]),
    "moongate": (18084, [MOONGATE, "run", os.path.join(HERE, "moongate.lua"), "--workers", "0"]),
    "moongate (log)": (18089, ["env", "ACCESS_LOG=" + os.path.join(ROOT, "build", "bench", "access.log"), MOONGATE, "run",
                               os.path.join(HERE, "moongate.lua"), "--workers", "0", "--listen", "127.0.0.1:18089"]),
    "threads": (18085, [THREADS, "18085"]),
    "node": (18086, ["node", os.path.join(HERE, "node.js"), "18086"]),
    # Shares the load's processor: what it costs is nobody's.
    "upstream": (18087, ["taskset", "-c", "1", FLOOR, "18087", "text/plain", TEXT]),
    "origin": (18090, ["taskset", "-c", "1", ORIGIN, "18090"]),
    "nginx (proxy)": (18091, [NGINX, "-e", "stderr", "-p", PEERS, "-c", os.path.join(PROXY, "nginx.conf")]),
    "haproxy": (18092, [HAPROXY, "-db", "-f", os.path.join(PROXY, "haproxy.cfg")]),
    "h2o": (18093, [H2O, "-c", os.path.join(PROXY, "h2o.conf")]),
    "moongate (proxy)": (18094, [MOONGATE, "run", os.path.join(PROXY, "moongate.lua"), "--workers", "0"]),
    "moongate (origin)": (18095, ["taskset", "-c", "1", MOONGATE, "run", os.path.join(PROXY, "origin.lua"),
                                  "--workers", "0"]),
    "redis": (18106, ["taskset", "-c", "1", "redis-server", "--bind", "127.0.0.1", "--port", "18106", "--save", "",
                      "--appendonly", "no"]),
    "moongate (memory)": cached_by(18107, "memory:64M"),
    "moongate (redis)": cached_by(18104, "redis://127.0.0.1:18106"),
    "moongate (near)": cached_by(18105, "redis://127.0.0.1:18106?near=16M"),
    "nginx (W7)": (18083, [NGINX, "-e", "stderr", "-p", PEERS, "-c", os.path.join(CHANGING, "nginx.conf")]),
    "moongate (W7)": (18084, [MOONGATE, "run", os.path.join(CHANGING, "moongate.lua")]),
}

# Put before a command, so that it ends with this process even if that is killed and can clean up nothing.
WITH_US = ("setpriv", "--pdeathsig", "TERM")
READY_S = 20  # long, for servers under valgrind
STOP_S = 10


class Refused(Exception):
    """There is no honest figure to print."""


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def available(name):
    return shutil.which(SERVERS[name][1][0]) is not None


def parents():
    """Maps each pid to its parent's."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                found[int(pid)] = int(f.read().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def family(root):
    """The process and all its descendants."""
    of = parents()
    pids = [root] if root in of else []
    for pid in pids:
        pids.extend(child for child, parent in of.items() if parent == pid)
    return sorted(pids)


def listening_inodes(port):
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as f:
            for fields in (line.split() for line in f.readlines()[1:]):
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes


def connected_ports(port):
    """The peers' ports of all established connections to `port` here."""
    found = set()
    with open("/proc/net/tcp", encoding="ascii") as f:
        for fields in (line.split() for line in f.readlines()[1:]):
            if fields[3] == "01" and int(fields[2].rpartition(":")[2], 16) == port:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def socket_inodes(pid):
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except FileNotFoundError:
        pass  # a descriptor or the process went meanwhile: then it listens on nothing either
    return inodes


class Server:
    """One running server. `wrap` is a command put before its own (valgrind)."""

    scheme = "http"

    def __init__(self, name, wrap=()):
        self.name = name
        self.port, self.command = SERVERS[name]
        if listening_inodes(self.port):
            raise Refused(f"{name}: something already listens on port {self.port}")
        environment = dict(os.environ)
        if self.command[0].startswith(PEERS):
            environment["LD_LIBRARY_PATH"] = os.path.join(PEERS, "lib")
        log_path = os.path.join(ROOT, "build", "bench", name.split()[0] + ".log")
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*WITH_US, "taskset", "-c", "0", *wrap, *self.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=ROOT)
        atexit.register(self.stop)
        self.log_path = log_path
        self.await_ready()
        self.check_listener()

    def await_ready(self):
        deadline = time.monotonic() + READY_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Refused(f"{self.name} did not start; its log is {self.log_path}")
            time.sleep(0.02)

    def answers(self):
        try:
            with Client(self.port) as client:
                return client.ask("/")[0] == 200
        except OSError:
            return False

    def pids(self):
        return family(self.process.pid)

    def check_listener(self):
        """Whoever listens on the port must be ours, or the figures are somebody else's."""
        ours = set().union(*(socket_inodes(pid) for pid in self.pids()))
        theirs = listening_inodes(self.port) - ours
        if theirs or not listening_inodes(self.port):
            raise Refused(f"{self.name}: port {self.port} is not held by the process that was started")

    def stop(self):
        atexit.unregister(self.stop)
        pids = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pids = self.pids()
                self.process.kill()
                self.process.wait()
        for pid in set(pids) & set(parents()) - {self.process.pid}:
            os.kill(pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Store(Server):
    """Redis, which speaks no HTTP."""

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                sock.sendall(b"PING\r\n")
                return sock.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def behind(name):
    """What servers under test ask; to be used with `with`."""
    return Store(name) if name == "redis" else Server(name)
