"""A plain keep-alive client, for answers that have a Content-Length."""

import socket

TIMEOUT_S = 20  # long, for servers under valgrind


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.data = b""  # read, and not yet taken: pipelined answers arrive together

    def ask(self, *paths):
        """Sends all requests in one write. Returns (status, bytes of the head, body) of the last answer."""
        self.socket.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths))
        return [self.answer() for _ in paths][-1]

    def answer(self):
        while b"\r\n\r\n" not in self.data:
            self.receive()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        if b"content-length" not in fields:
            raise ConnectionError("an answer without Content-Length")
        length = int(fields[b"content-length"])
        while len(self.data) < length:
            self.receive()
        body, self.data = self.data[:length], self.data[length:]
        return int(head.split()[1]), len(head) + 4, body.decode()

    def receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("closed before the end of an answer")
        self.data += more

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
