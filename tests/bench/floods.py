"""W12floods: what ordinary requests over TLS wait while peers that mean harm have the server's other ear."""

import contextlib
import multiprocessing
import os
import socket
import ssl
import time

from h2 import PREFACE
from servers import Refused
from table import show, verdict
from tls import TlsServer, ask, connect, context_of, make_certificate, pin_to_load

GOAL_MS = 50
PAUSE_S = 0.005  # between ordinary requests, each on a connection that stays or on its own
AT_A_TIME = 64  # handshakes of the flood
HALF_OPEN = 1000
RESETS = 100000
BATCH = 500  # streams that are asked for and reset in one write
# GET https / of "localhost", whole and at its end; what is in the static table is named only.
HEAD = b"\x82\x87\x84\x41\x09localhost"


# --- harm, each in a process of its own; what was done is counted in `done` ---

def client_hello():
    """The first flight of a client of TLS 1.3: cheap to send again, dear to answer."""
    sent = ssl.MemoryBIO()
    client = context_of().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def say_hello(port, hello):
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.sendall(hello)
    return sock


def flood_of_handshakes(port, done, stop):
    hello = client_hello()
    while not stop.is_set():
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for sock in [stack.enter_context(say_hello(port, hello)) for _ in range(AT_A_TIME)]:
                done.value += len(sock.recv(1))  # the server has done its part


def half_open_handshakes(port, done, stop):
    hello = client_hello()
    with contextlib.ExitStack() as stack:
        for _ in range(HALF_OPEN):
            stack.enter_context(say_hello(port, hello[:len(hello) // 2]))
            done.value += 1
        stop.wait()


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def rapid_resets(port, done, stop):
    """Whoever is told to be calm comes again."""
    context = context_of(alpn="h2")
    resets = [frame(1, 5, i * 2 + 1, HEAD) + frame(3, 0, i * 2 + 1, (8).to_bytes(4, "big")) for i in range(RESETS)]
    while done.value < RESETS and not stop.is_set():
        with contextlib.suppress(OSError), connect(port, context) as sock:
            sock.sendall(PREFACE)
            for at in range(0, RESETS, BATCH):
                sock.sendall(b"".join(resets[at:at + BATCH]))
                done.value += BATCH


def no_harm(_port, _done, stop):
    stop.wait()


HARM = {
    "nobody": no_harm,
    "a flood of handshakes": flood_of_handshakes,
    "half-open handshakes": half_open_handshakes,
    "streams that are reset": rapid_resets,
}


# --- ordinary requests ---

def ordinary(port, context, kept):
    """Seconds that a request takes on the connection that stays, and on a new one."""
    began = time.perf_counter()
    if not ask(kept):
        raise Refused("an ordinary connection was closed")
    asked = time.perf_counter()
    with connect(port, context) as sock:
        if not ask(sock):
            raise Refused("an ordinary request was not answered")
    return asked - began, time.perf_counter() - asked


@contextlib.contextmanager
def beside(harm, port):
    """How much of it was done so far; it ends with the block. It shares the watcher's processor, and gives way there."""
    done, stop = multiprocessing.Value("q", 0), multiprocessing.Event()

    def work():
        os.nice(10)
        harm(port, done, stop)

    process = multiprocessing.Process(target=work)
    process.start()
    try:
        yield done
    finally:
        stop.set()
        process.join()


def watch(port, harm, seconds):
    """Latencies of both kinds for `seconds` at least, and until all resets are done; and how much was done."""
    context = context_of()
    taken = []
    with connect(port, context) as kept, beside(harm, port) as done:
        until = time.monotonic() + seconds
        while time.monotonic() < until or (harm is rapid_resets and done.value < RESETS):
            taken.append(ordinary(port, context, kept))
            time.sleep(PAUSE_S)
        return taken, done.value


def p99_ms(taken):
    return sorted(taken)[int(len(taken) * 0.99)] * 1000


def run(args):
    make_certificate()
    pin_to_load()
    rows = []
    for what, harm in HARM.items():
        with TlsServer("moongate tls") as server:
            taken, count = watch(server.port, harm, args.seconds * args.rounds)
        kept, new = (p99_ms(list(kind)) for kind in zip(*taken))
        rows.append([what, count or "", len(taken), f"{kept:.1f}", f"{new:.1f}",
                     verdict(f"< {GOAL_MS} ms", max(kept, new) < GOAL_MS)])
    show("W12floods  ordinary requests over TLS beside", ["harm", "of it", "requests", "p99 ms, kept",
                                                          "p99 ms, new", "goal"], rows)
