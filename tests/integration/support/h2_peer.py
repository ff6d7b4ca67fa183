"""A peer of HTTP/2 (python3-h2 for what is said, a plain socket beneath): h2_peer.py PORT SCENARIO [ARGUMENTS]

Prints one JSON object about what became of it.
"""
import json
import os
import select
import signal
import socket
import sys
import urllib.request

import h2.config
import h2.connection
import h2.events
import h2.settings

DEADLINE = 30


class Peer:
    def __init__(self, port, settings=None):
        self.sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.ended = False
        self.unread = b""
        self.goaways = []
        self.streams = {}
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def begin(self, path, method="GET", end=True, fields=()):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        self.h2.send_headers(stream, head + list(fields), end_stream=end)
        return stream

    def ask(self, path, method="GET", end=True, fields=()):
        stream = self.begin(path, method, end, fields)
        self.streams[stream] = {"status": None, "bytes": 0, "interim": [], "trailers": None, "reset": None,
                                "ended": False}
        self.flush()
        return stream

    def take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append([event.last_stream_id, int(event.error_code)])
        elif stream is None:
            return
        elif isinstance(event, h2.events.InformationalResponseReceived):
            stream["interim"].append(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.ResponseReceived):
            stream["status"] = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.DataReceived):
            stream["bytes"] += len(event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            stream["trailers"] = dict(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            stream["reset"] = int(event.error_code)
        elif isinstance(event, h2.events.StreamEnded):
            stream["ended"] = True

    def read(self):
        """Some events; False at the connection's end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.ended = True
            return False
        self.unread += data
        while len(self.unread) >= 9 and len(self.unread) >= 9 + int.from_bytes(self.unread[:3], "big"):
            n = 9 + int.from_bytes(self.unread[:3], "big")
            self.read_frame(self.unread[:n])
            self.unread = self.unread[n:]
        try:
            self.flush()
        except ConnectionError:
            self.ended = True
        return not self.ended

    def read_frame(self, data):
        # The library takes nothing behind a GOAWAY, though streams go on.
        if self.goaways:
            self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        for event in self.h2.receive_data(data):
            self.take(event)
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def until(self, condition):
        while not condition() and self.read():
            pass
        return self


def visit(port, path):
    """Over another connection, of HTTP/1.1."""
    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=DEADLINE) as answer:
        return answer.read().decode()


def wait_for(port, path, text):
    while visit(port, path) != text:
        pass


def scenario_cancel(port):
    peer = Peer(port)
    stream = peer.ask("/wait/h2cancel")
    wait_for(port, "/pending/h2cancel", "yes")
    peer.h2.reset_stream(stream, 8)
    peer.flush()
    wait_for(port, "/closed/h2cancel", "yes")
    other = peer.ask("/text")
    peer.until(lambda: peer.streams[other]["ended"])
    return {"other": peer.streams[other], "goaways": peer.goaways}


def scenario_no_window(port):
    """Takes no content at all, but goes on asking for other things."""
    peer = Peer(port, {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    stream = peer.ask("/big/64")
    peer.until(lambda: peer.streams[stream]["reset"] is not None)
    other = peer.ask("/empty")
    peer.until(lambda: peer.streams[other]["ended"])
    return {"slow": peer.streams[stream], "other": peer.streams[other], "goaways": peer.goaways}


def scenario_upload(port):
    """Nobody reads it: the window closes, while other streams go on."""
    peer = Peer(port)
    stream = peer.ask("/wait_for_body/h2upload", "POST", end=False)
    sent = 0
    other = peer.ask("/text")
    peer.until(lambda: peer.streams[other]["ended"])
    while peer.h2.local_flow_control_window(stream) > 0:
        n = min(peer.h2.local_flow_control_window(stream), peer.h2.max_outbound_frame_size)
        peer.h2.send_data(stream, b"x" * n)
        peer.flush()
        sent += n
    last = peer.ask("/text")
    peer.until(lambda: peer.streams[last]["ended"])
    return {"sent": sent, "last": peer.streams[last]}


def scenario_interim(port):
    peer = Peer(port)
    stream = peer.ask("/length", "POST", end=False, fields=[("expect", "100-continue")])
    peer.until(lambda: peer.streams[stream]["interim"])
    peer.h2.send_data(stream, b"12345", end_stream=True)
    peer.flush()
    peer.until(lambda: peer.streams[stream]["ended"])
    return peer.streams[stream]


def scenario_too_large(port):
    peer = Peer(port)
    stream = peer.ask("/small", "POST", end=False, fields=[("content-length", "101")])
    peer.until(lambda: peer.streams[stream]["ended"] or peer.streams[stream]["reset"] is not None)
    other = peer.ask("/text")
    peer.until(lambda: peer.streams[other]["ended"])
    return {"refused": peer.streams[stream], "other": peer.streams[other]}


def scenario_signal(port, pid, number):
    """The server gets a signal in the middle of an answer."""
    peer = Peer(port)
    stream = peer.ask("/stream_slowly/300")
    peer.until(lambda: peer.streams[stream]["bytes"] > 0)
    os.kill(int(pid), int(number))
    peer.until(lambda: peer.streams[stream]["ended"])
    return peer, stream


def scenario_stop(port, pid):
    peer, stream = scenario_signal(port, pid, signal.SIGTERM)
    peer.until(lambda: peer.ended)
    return {"stream": peer.streams[stream], "goaways": peer.goaways}


def scenario_reload(port, pid):
    peer, stream = scenario_signal(port, pid, signal.SIGHUP)
    other = peer.ask("/text")
    peer.until(lambda: peer.streams[other]["ended"])
    return {"stream": peer.streams[stream], "other": peer.streams[other], "goaways": peer.goaways}


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


FLOODS = {
    "ping": lambda i: frame(6, 0, 0, bytes(8)),
    "settings": lambda i: frame(4, 0, 0, b""),
    "priority": lambda i: frame(2, 0, 2 * i + 1, (0).to_bytes(4, "big") + b"\x10"),
    "window": lambda i: frame(8, 0, 0, (1).to_bytes(4, "big")),
    "unknown": lambda i: frame(0x42, 0, 0, b""),
}


def scenario_flood(port, kind, count):
    peer = Peer(port)
    make, sent = FLOODS[kind], 0
    try:
        while sent < int(count) and not peer.ended:
            peer.sock.sendall(b"".join(make(sent + i) for i in range(100)))
            sent += 100
    except ConnectionError:
        pass
    peer.sock.settimeout(5)
    try:
        peer.until(lambda: peer.goaways)
    except socket.timeout:
        pass
    return {"sent": sent, "goaways": peer.goaways, "text": visit(port, "/text")}


def open_and_reset(stream):
    head = b"\x82\x86\x84\x41\x09localhost"  # GET http / and who is asked
    return frame(1, 5, stream, head) + frame(3, 0, stream, (8).to_bytes(4, "big"))


def goaway_code(data):
    """Of the first GOAWAY among these frames; None: there is none."""
    while len(data) >= 9:
        n = int.from_bytes(data[:3], "big")
        if data[3] == 7:
            return int.from_bytes(data[13:17], "big")
        data = data[9 + n:]
    return None


def reset_streams(port, most):
    """On one connection, until that ends; returns how many there were, and the GOAWAY's code."""
    sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
    sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    sent, got = 0, b""
    try:
        while sent < most and goaway_code(got) is None:
            sock.sendall(b"".join(open_and_reset(2 * (sent + i) + 1) for i in range(50)))
            sent += 50
            while select.select([sock], [], [], 0)[0]:
                data = sock.recv(65536)
                got += data
                if not data:
                    break
    except ConnectionError:
        pass
    sock.close()
    return sent, goaway_code(got)


def scenario_rapid_reset(port, count):
    """Streams that are reset as soon as they are opened, on one connection after the other."""
    left, connections, codes = int(count), 0, set()
    while left > 0:
        sent, code = reset_streams(port, left)
        left -= sent
        connections += 1
        codes.add(code)
    return {"connections": connections, "codes": [code for code in codes if code is not None],
            "text": visit(port, "/text")}


if __name__ == "__main__":
    result = globals()["scenario_" + sys.argv[2]](int(sys.argv[1]), *sys.argv[3:])
    print(json.dumps(result), flush=True)
