"""W12: TLS beside nginx and HAProxy: CPU of requests and of handshakes, and memory of idle connections."""

import os
import socket
import ssl
import statistics
import subprocess

import servers
from h2 import PREFACE, REQUEST
from load import cpu_ns, rss_bytes, wrk
from servers import HAPROXY, HERE, MOONGATE, NGINX, PEERS, ROOT, TEXT, Refused, Server, available
from table import show, verdict

TLS = os.path.join(HERE, "tls")
FILES = os.path.join(ROOT, "build", "bench", "tls")
IDLE = 5000
WARM_S = 2
HANDSHAKES = 2000
CONNECTIONS = 64
GOAL_BYTES = 16384  # beside those of a plain connection
GOAL_REQUESTS = 1.0
GOAL_HANDSHAKES = 1.05

servers.SERVERS.update({
    "moongate tls": (18100, [MOONGATE, "run", os.path.join(TLS, "moongate.lua"), "--workers", "0"]),
    "nginx tls": (18101, [NGINX, "-e", "stderr", "-p", PEERS, "-c", os.path.join(TLS, "nginx.conf")]),
    "haproxy tls": (18102, [HAPROXY, "-db", "-f", os.path.join(TLS, "haproxy.cfg")]),
})
WHO = {"nginx": "nginx tls", "haproxy": "haproxy tls", "moongate": "moongate tls"}
ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class TlsServer(Server):
    scheme = "https"

    def answers(self):
        try:
            with connect(self.port, context_of()) as sock:
                return ask(sock)
        except OSError:
            return False


def context_of(version=ssl.TLSVersion.TLSv1_3, alpn=None):
    """A client that believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


def connect(port, context, session=None):
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost",
                               session=session)


def ask(sock, what=ASKED):
    """True once the text has come."""
    sock.sendall(what)
    got = b""
    while TEXT.encode() not in got:
        data = sock.recv(65536)
        if not data:
            return False
        got += data
    return True


def make_certificate():
    os.makedirs(FILES, exist_ok=True)
    key, cert = (os.path.join(FILES, name) for name in ("site.key", "site.pem"))
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    with open(os.path.join(FILES, "both.pem"), "wb") as both:
        for name in (cert, key):
            with open(name, "rb") as one:
                both.write(one.read())


def pin_to_load():
    """This process is the load where it shakes hands itself."""
    os.sched_setaffinity(0, {1})


def requests_us(server, seconds):
    pids = server.pids()
    before = cpu_ns(pids)
    figures = wrk(server, "/", CONNECTIONS, seconds)
    return (cpu_ns(pids) - before) / 1000 / figures["requests"]


def handshakes_us(server, version, resumed):
    """A connection, one request on it (what comes behind the handshake carries the session), and its end."""
    context = context_of(version)
    session = None
    pids = server.pids()
    before = cpu_ns(pids)
    for _ in range(HANDSHAKES):
        sock = connect(server.port, context, session)
        if not ask(sock):
            raise Refused(f"{server.name}: a connection ended too early")
        if resumed and session is not None and not sock.session_reused:
            raise Refused(f"{server.name}: a session was not resumed")
        session = sock.session if resumed else None
        sock.close()
    return (cpu_ns(pids) - before) / 1000 / HANDSHAKES


def measures(server, seconds):
    ask_each = {"requests": requests_us(server, seconds)}
    for version, label in ((ssl.TLSVersion.TLSv1_3, "1.3"), (ssl.TLSVersion.TLSv1_2, "1.2")):
        ask_each[f"full {label}"] = handshakes_us(server, version, False)
        ask_each[f"resumed {label}"] = handshakes_us(server, version, True)
    return ask_each


def round_of(name, seconds):
    with TlsServer(name) as server:
        wrk(server, "/", CONNECTIONS, WARM_S)  # code and pools are warm
        return measures(server, seconds)


def idle_bytes(name, alpn=None, what=ASKED):
    """What each of IDLE connections adds that has had one request."""
    with TlsServer(name) as server:
        wrk(server, "/", CONNECTIONS, WARM_S)
        pids = server.pids()
        context = context_of(alpn=alpn)
        before = sum(rss_bytes(pids))
        socks = [connect(server.port, context) for _ in range(IDLE)]
        for sock in socks:
            ask(sock, what)
        grown = (sum(rss_bytes(pids)) - before) / IDLE
        for sock in socks:
            sock.close()
        return grown


def show_figures(who, rounds):
    for what in rounds[0]["moongate"]:
        ratios = [r["moongate"][what] / min(r[label][what] for label in who if label != "moongate") for r in rounds]
        ratio = statistics.median(ratios)
        goal = GOAL_REQUESTS if what == "requests" else GOAL_HANDSHAKES
        rows = []
        for label in who:
            each = [r[label][what] for r in rounds]
            rows.append([label, f"{statistics.median(each):.1f}", f"{min(each):.1f}-{max(each):.1f}",
                         verdict(f"<= {goal} x the best ({ratio:.2f})", ratio <= goal) if label == "moongate" else ""])
        title = f"keep-alive requests, {CONNECTIONS} connections" if what == "requests" else f"handshakes, {what}"
        show(f"W12  TLS: {title}", ["server", "us each", "(min-max)", "goal"], rows)


def run(args):
    make_certificate()
    pin_to_load()
    who = {label: name for label, name in WHO.items() if available(name)}
    if len(who) < 2:
        raise Refused("W12 needs a peer: tests/bench/peers.sh")
    show_figures(who, [{label: round_of(name, args.seconds) for label, name in who.items()}
                       for _ in range(args.rounds)])
    rows = [[label, f"{idle_bytes(name):.0f}", ""] for label, name in who.items()]
    rows[-1][2] = verdict(f"<= {GOAL_BYTES} B beside W5's", float(rows[-1][1]) <= GOAL_BYTES + 480)
    rows.append(["moongate, HTTP/2", f"{idle_bytes('moongate tls', 'h2', PREFACE + REQUEST):.0f}", ""])
    show(f"W12  {IDLE} idle connections of TLS, user space", ["server", "bytes/connection", "goal"], rows)
