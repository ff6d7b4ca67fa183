"""A server of HTTP/2 that misbehaves as the path of a request says, frame by frame: h2_server.py

Without TLS, by prior knowledge. Prints its port. Each connection is a thread; what all of them have seen is told at /seen.
"""
import json
import socket
import sys
import threading

import hpack

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 5, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 2, 7, 8

seen = {}
lock = threading.Lock()


def count(what):
    with lock:
        seen[what] = seen.get(what, 0) + 1
        return seen[what]


def u32(n):
    return n.to_bytes(4, "big")


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.number = count("connections")
        self.decoder, self.encoder = hpack.Decoder(), hpack.Encoder()
        self.requests = {}
        self.deaf = False

    def frame(self, kind, flags, stream, payload=b""):
        self.sock.sendall(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + u32(stream) + payload)

    def head(self, stream, fields, end=False, status="200"):
        block = self.encoder.encode([(":status", status)] + list(fields))
        self.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)

    def answer(self, stream, text, status="200"):
        self.head(stream, [("content-type", "text/plain")], status=status)
        self.frame(DATA, END_STREAM, stream, text.encode())

    def reset(self, stream, code):
        self.frame(RST_STREAM, 0, stream, u32(code))

    # --- what is done when a request is there: its head (on_), or all of it (whole_) ---

    def whole_fine(self, stream, request):
        self.answer(stream, "%d %d" % (self.number, request["bytes"]))

    def whole_seen(self, stream, request):
        self.answer(stream, json.dumps(seen))

    def whole_refused(self, stream, request):
        if count("refused") % 2 == 1:
            self.reset(stream, REFUSED_STREAM)
        else:
            self.answer(stream, "%d bytes" % request["bytes"])

    def status(self, stream, *fields):
        """All of the answer of a call of gRPC."""
        self.head(stream, [("content-type", "application/grpc"), ("grpc-status", "14"), *fields], end=True)

    def whole_unavailable(self, stream, request):
        if count("unavailable") % 2 == 1:
            self.status(stream)
        else:
            self.answer(stream, "%d bytes" % request["bytes"])

    def whole_pushback(self, stream, request):
        count("pushback")
        self.status(stream, ("grpc-retry-pushback-ms", "1000"))

    def whole_leaving(self, stream, request):
        """Leaves, and has not looked at this one."""
        if count("leaving") % 2 == 1:
            self.frame(GOAWAY, 0, 0, u32(stream - 2 if stream > 2 else 0) + u32(NO_ERROR))
        else:
            self.answer(stream, "%d bytes" % request["bytes"])

    def whole_last(self, stream, request):
        """Leaves, and has accepted this one."""
        self.frame(GOAWAY, 0, 0, u32(0x7fffffff) + u32(NO_ERROR))
        self.frame(GOAWAY, 0, 0, u32(stream) + u32(NO_ERROR))
        self.answer(stream, "accepted")

    def on_early(self, stream, request):
        self.answer(stream, "too large", "413")
        self.reset(stream, NO_ERROR)

    def whole_short(self, stream, request):
        self.head(stream, [("content-length", "10")])
        self.frame(DATA, END_STREAM, stream, b"short")

    def whole_broken(self, stream, request):
        self.head(stream, [])
        self.frame(DATA, 0, stream, b"a part")
        self.reset(stream, INTERNAL_ERROR)

    def raw_head(self, stream, *fields):
        """Literals without a table, whatever they hold."""
        block = b"\x88" + b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in fields)
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, block)

    def whole_upper(self, stream, request):
        self.raw_head(stream, (b"X-Upper", b"a"))

    def whole_newline(self, stream, request):
        self.raw_head(stream, (b"x-a", b"b\r\nset-cookie: evil=1"))

    def whole_chunked(self, stream, request):
        self.raw_head(stream, (b"transfer-encoding", b"chunked"))

    def whole_lengths(self, stream, request):
        self.raw_head(stream, (b"content-length", b"0"), (b"content-length", b"5"))

    def whole_many(self, stream, request):
        self.raw_head(stream, *[(b"x-%d" % i, b"v" * 100) for i in range(600)])

    def whole_push(self, stream, request):
        self.frame(PUSH_PROMISE, END_HEADERS, stream, u32(2) + b"\x82\x86\x84")

    def whole_flood(self, stream, request):
        self.sock.sendall((b"\0\0\0\4\0\0\0\0\0") * 5000)

    def whole_deaf(self, stream, request):
        """Takes nothing any more, answers nothing: a machine that has gone."""
        self.deaf = True

    def whole_interim(self, stream, request):
        self.head(stream, [("link", "</a>")], status="103")
        self.answer(stream, "after 103")

    # --- reading ---

    def take(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return data

    def call(self, kind, stream):
        request = self.requests[stream]
        method = getattr(self, kind + "_" + request["path"][1:], None)
        if method:
            method(stream, request)
            return True
        return False

    def on_frame(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            count("pings")
            if not self.deaf:
                self.frame(PING, ACK, 0, payload)
        elif kind == RST_STREAM:
            count("reset %d" % int.from_bytes(payload, "big"))
        elif kind == GOAWAY:
            count("goaway %d" % int.from_bytes(payload[4:8], "big"))
        elif kind == HEADERS and stream not in self.requests:
            fields = dict(self.decoder.decode(payload))
            count(fields[":method"] + " " + fields[":path"])
            self.requests[stream] = {"path": fields[":path"], "bytes": 0}
            self.call("on", stream)
        elif kind == DATA and stream in self.requests and payload:
            self.requests[stream]["bytes"] += len(payload)
            self.frame(WINDOW_UPDATE, 0, 0, u32(len(payload)))
            self.frame(WINDOW_UPDATE, 0, stream, u32(len(payload)))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.call("whole", stream)

    def serve(self):
        try:
            self.take(24)
            self.frame(SETTINGS, 0, 0, b"\0\3" + u32(100))
            while True:
                head = self.take(9)
                payload = self.take(int.from_bytes(head[:3], "big"))
                self.on_frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        except OSError:
            self.sock.close()


def accept(listener):
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(sock).serve, daemon=True).start()


def main():
    """At 127.0.0.1, and for those who want another server at 127.0.0.2."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    other = socket.create_server(("127.0.0.2", port))
    print(port, flush=True)
    threading.Thread(target=accept, args=(other,), daemon=True).start()
    accept(listener)


if __name__ == "__main__":
    main()
