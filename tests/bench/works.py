"""The works that wrk can drive: who takes part, what is asked of them, and what Moongate has to reach."""

from dataclasses import dataclass

from servers import TEXT, USER

NGINX_LUA = "nginx+Lua"
KIB = 1024
ROUTED = '{"id":"42","name":"user 42","route":0}'


def content(n):
    """What bench/origin answers for /n."""
    return "x" * n


@dataclass(frozen=True)
class Entry:
    label: str
    server: str  # a key of servers.SERVERS
    path: str


@dataclass(frozen=True)
class Goal:
    """CPU per request: at most `ratio` times the reference's, or at most `us` microseconds.

    Of several references, with a comma between them, the cheaper one of a round counts.
    """
    reference: str
    ratio: float = 0.0
    us: float = 0.0

    def __str__(self):
        return f"<= {self.us} us" if self.us else f"<= {self.ratio} x {self.reference}"

    def reference_us(self, figures):
        """The reference's CPU per request in one round; None if it took no part."""
        known = [figures[label]["cpu_us"] for label in self.reference.split(",") if label in figures]
        return min(known, default=None)

    def met(self, cpu_us, ratio):
        return cpu_us <= self.us if self.us else ratio is not None and ratio <= self.ratio


@dataclass(frozen=True)
class Work:
    what: str
    connections: int
    body: str
    entries: tuple
    goal: Goal
    mode: str = "plain"  # of wrk.lua
    also: Goal | None = None
    upstream: str = ""  # a key of servers.SERVERS that has to run beside them


def everybody(path, floor=None):
    first = (Entry("floor", floor, path),) if floor else ()
    return first + (Entry(NGINX_LUA, "nginx", path), Entry("moongate", "moongate", path))


def proxies(path):
    return (Entry("nginx", "nginx (proxy)", path), Entry("haproxy", "haproxy", path), Entry("h2o", "h2o", path),
            Entry("moongate", "moongate (proxy)", path))


def threads_and_node(path):
    return (Entry("threads", "threads", path), Entry("node", "node", path))


WORKS = {
    "W1": Work("fixed text, 64 connections", 64, TEXT,
               everybody("/", "floor") + (Entry("nginx static", "nginx", "/static"),) + threads_and_node("/"),
               Goal("floor", ratio=1.10)),
    "W2": Work("path parameter, small JSON, 64 connections", 64, USER,
               everybody("/users/42", "floor (json)") + threads_and_node("/users/42"),
               Goal(NGINX_LUA, ratio=0.82)),
    "W2log": Work("the same with an access log, and without", 64, USER,
                  (Entry("no log", "moongate", "/users/42"), Entry("moongate", "moongate (log)", "/users/42")),
                  Goal("no log", ratio=1.05)),
    "W2x128": Work("the same, 128 different handlers in turn", 64, ROUTED, everybody("/r000/42"),
                   Goal(NGINX_LUA, ratio=0.82), mode="cycle"),
    "W3": Work("handler sleeps 5 ms, 512 connections", 512, TEXT,
               everybody("/sleep", "floor (sleep)") + threads_and_node("/sleep"), Goal(NGINX_LUA, ratio=0.95)),
    "W10": Work("three upstream calls at once, joined, 64 connections", 64, TEXT * 3,
                (Entry(NGINX_LUA, "nginx", "/three"), Entry("moongate", "moongate", "/three"),
                 Entry("node", "node", "/three")),
                Goal(NGINX_LUA, ratio=1.0), also=Goal("node", ratio=0.5), upstream="upstream"),
    "W4": Work("reverse proxy, 1 KiB answer, 64 connections", 64, content(KIB), proxies(f"/{KIB}"),
               Goal("nginx,haproxy", ratio=0.92), upstream="origin"),
    "W4x64K": Work("the same, 64 KiB answer", 64, content(64 * KIB), proxies(f"/{64 * KIB}"),
                   Goal("nginx,haproxy", ratio=1.0), upstream="origin"),
    "W4x1M": Work("the same, 1 MiB answer", 64, content(1024 * KIB), proxies(f"/{1024 * KIB}"),
                  Goal("nginx,haproxy", ratio=1.0), upstream="origin"),
    "W4up64K": Work("the same, upload of 64 KiB, 1 KiB answer", 64, content(KIB), proxies(f"/{KIB}"),
                    Goal("nginx,haproxy", ratio=1.0), upstream="origin", mode="upload"),
    "W4lua": Work("the same, with a Lua middleware that adds a field, and without", 64, content(KIB),
                  (Entry("relay alone", "moongate (proxy)", f"/{KIB}"),
                   Entry("moongate", "moongate (proxy)", f"/lua/{KIB}")),
                  Goal("relay alone", ratio=1.15), upstream="origin"),
    "W4h2": Work("reverse proxy, 1 KiB answer, over HTTP/2 to the server behind, and over HTTP/1.1", 64, content(KIB),
                 (Entry("over h1", "moongate (proxy)", f"/h1/{KIB}"), Entry("moongate", "moongate (proxy)", f"/h2/{KIB}")),
                 Goal("over h1", ratio=1.0), upstream="moongate (origin)"),
    "W8": Work("a text of 100 bytes out of Redis, 64 connections", 64, content(100),
               (Entry(NGINX_LUA, "nginx", "/cached"), Entry("moongate", "moongate (redis)", "/cached")),
               Goal(NGINX_LUA, ratio=0.7), upstream="redis"),
    "W8near": Work("the same, kept near, and out of memory", 64, content(100),
                   (Entry("memory", "moongate (memory)", "/cached"), Entry("moongate", "moongate (near)", "/cached")),
                   Goal("memory", ratio=1.2), upstream="redis"),
    "W6": Work("W2 pipelined 16 deep, 64 connections", 64, USER,
               everybody("/users/42", "floor (json)"), Goal(NGINX_LUA, us=0.9), mode="pipeline"),
}
