"""The claims that Moongate was begun with, against the thread-per-connection server it replaces."""

import statistics

import idle
from load import check_answer, measure, wrk
from servers import TEXT, Server, available
from table import show

PAIR = ("threads", "moongate")
SLEEPERS = 4000
MEMORY_MIB = 256
MIB = 1024 * 1024


def run(args):
    if not available("moongate"):
        print("\nclaims: moongate is not built")
        return
    at_rest = {name: medians([idle.measure(name) for _ in range(args.rounds)]) for name in PAIR}
    busy = under_load("/", 64, args)
    asleep = under_load("/sleep", SLEEPERS, args)
    header = ["claim", "measured as", *PAIR, "change", "claimed"]
    show("claims  against one thread for each connection", header,
         [connections(at_rest), memory(at_rest), processor("busy, 64 connections", busy),
          processor(f"asleep, {SLEEPERS} connections", asleep), *latency(asleep)])


def medians(figures):
    return {key: statistics.median(f[key] for f in figures) for key in figures[0]}


def under_load(path, connections_open, args):
    """Both servers, rounds interleaved."""
    with Server(PAIR[0]) as first, Server(PAIR[1]) as second:
        rounds = {server.name: [] for server in (first, second)}
        for server in (first, second):
            check_answer(server, path, TEXT)
            wrk(server, path, connections_open, 1)
        for _ in range(args.rounds):
            for server in (first, second):
                rounds[server.name].append(measure(server, path, connections_open, args.seconds))
    return {name: medians(figures) for name, figures in rounds.items()}


def each_bytes(figures):
    return max(figures["user"] + figures["kernel"], 1)


def connections(at_rest):
    fit = [(MEMORY_MIB * MIB - at_rest[name]["all"]) / each_bytes(at_rest[name]) for name in PAIR]
    return ["connections", f"idle ones in {MEMORY_MIB} MiB, with kernel stacks", f"{fit[0]:.0f}", f"{fit[1]:.0f}",
            f"x {fit[1] / fit[0]:.1f}", "x 100"]


def memory(at_rest):
    mib = [(at_rest[name]["all"] + idle.CONNECTIONS * each_bytes(at_rest[name])) / MIB for name in PAIR]
    return ["memory", f"MiB with {idle.CONNECTIONS} idle connections", f"{mib[0]:.1f}", f"{mib[1]:.1f}",
            percent(mib[1], mib[0]), "-90 %"]


def processor(when, figures):
    served = [1e6 / figures[name]["cpu_us"] for name in PAIR]
    return ["CPU use", f"requests in a CPU second, {when}", f"{served[0]:.0f}", f"{served[1]:.0f}",
            percent(served[1], served[0]), "+300 %"]


def latency(figures):
    for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
        ms = [figures[server][key] / 1000 for server in PAIR]
        yield ["latency", f"{name} ms, handler sleeps 5 ms, {SLEEPERS} connections", f"{ms[0]:.2f}", f"{ms[1]:.2f}",
               percent(ms[1], ms[0]), "-50 %"]


def percent(now, before):
    return f"{(now / before - 1) * 100:+.0f} %"
