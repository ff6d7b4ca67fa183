"""Measures Moongate and its peers. Called by run.sh; README.md says how to read what it prints."""

import argparse
import contextlib
import os
import signal
import statistics
import sys

import claims
import database
import floods
import h2
import hold
import idle
import inside
import relayed
import reloads
import stores
import tls
import ws
from load import check_answer, measure, wrk
from servers import Refused, Server, available, behind, raise_descriptor_limit
from table import show, verdict
from works import WORKS

WARM_S = 1
OTHERS = {"W4mem": relayed.run, "W5": idle.run, "W7": reloads.run, "W9": database.run, "W11": h2.run,
          "W12": tls.run, "W12floods": floods.run, "W13": ws.run, "W13x100K": hold.run_websockets, "C100K": hold.run_idle,
          "stores": stores.run, "claims": claims.run}


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    raise_descriptor_limit()
    load = os.getloadavg()[0]
    print(f"{args.rounds} rounds of {args.seconds} s; load of the machine before: {load:.2f}"
          + (" (busy: distrust these figures)" if load > 0.5 else ""))
    try:
        for name in args.works or [*WORKS, *OTHERS]:
            run_work(name, args)
    except (Refused, OSError, KeyboardInterrupt) as e:
        print(f"\nNo figures for the rest: {e or 'interrupted'}", file=sys.stderr)
        return 1
    return 0


def arguments():
    names = [*WORKS, *OTHERS]
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"any of {' '.join(names)}; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in a round")
    parser.add_argument("--connections", type=int, default=100000, help="that C100K and W13x100K hold")
    parser.add_argument("--syscalls", action="store_true", help="count system calls instead (strace)")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead (valgrind)")
    args = parser.parse_args()
    unknown = set(args.works) - set(names)
    if unknown or args.rounds < 1 or args.seconds < 1 or args.connections < 1:
        parser.error(f"works are {' '.join(names)}; rounds, seconds and connections at least 1")
    return args


def run_work(name, args):
    if args.syscalls or args.instructions:
        if name in WORKS:
            (inside.syscalls if args.syscalls else inside.instructions)(name, WORKS[name])
    elif name in OTHERS:
        OTHERS[name](args)
    else:
        compare(name, WORKS[name], args)


def compare(name, work, args):
    entries = [entry for entry in work.entries if available(entry.server)]
    absent = [entry.label for entry in work.entries if entry not in entries]
    with contextlib.ExitStack() as stack:
        if work.upstream:
            stack.enter_context(behind(work.upstream))
        servers = {key: stack.enter_context(Server(key)) for key in {entry.server: 0 for entry in entries}}
        heads = {}
        for entry in entries:
            heads[entry.label] = check_answer(servers[entry.server], entry.path, work.body)
            wrk(servers[entry.server], entry.path, work.connections, WARM_S, work.mode)
        rounds = []
        for _ in range(args.rounds):
            rounds.append({entry.label: measure(servers[entry.server], entry.path, work.connections,
                                                args.seconds, work.mode) for entry in entries})
        for entry in entries:
            check_answer(servers[entry.server], entry.path, work.body)
            servers[entry.server].check_listener()
    report(name, work, rounds, heads)
    if absent:
        print(f"  not here, so not measured: {', '.join(absent)}")


def report(name, work, rounds, heads):
    header = ["server", "CPU us/request", "(min-max)", "requests/s", "p50 ms", "p99 ms", "head bytes",
              "x " + work.goal.reference, "goal"]
    show(f"{name}  {work.what}", header, [row(label, work, rounds, heads[label]) for label in rounds[0]])


def ratio_to(goal, label, rounds):
    """To the goal's reference; None if that is not here."""
    if goal.reference_us(rounds[0]) is None:
        return None
    # Within a round both ran on the same machine in the same mood; across rounds that is not so sure.
    return statistics.median(r[label]["cpu_us"] / goal.reference_us(r) for r in rounds)


def row(label, work, rounds, head_bytes):
    def median(key):
        return statistics.median(r[label][key] for r in rounds)

    def ms(key):
        # wrk corrects latencies by the number of answers, which is wrong by the depth of the pipeline.
        return "" if work.mode == "pipeline" else f"{median(key) / 1000:.2f}"

    goal = work.goal
    cpus = [r[label]["cpu_us"] for r in rounds]
    ratio = ratio_to(goal, label, rounds)
    judged = label == "moongate"
    verdicts = [verdict(goal, goal.met(median("cpu_us"), ratio))]
    other = ratio_to(work.also, label, rounds) if work.also else None
    if other is not None:
        verdicts.append(f"{verdict(work.also, work.also.met(median('cpu_us'), other))} ({other:.2f})")
    return [label, f"{median('cpu_us'):.2f}", f"{min(cpus):.2f}-{max(cpus):.2f}", f"{median('rps'):.0f}",
            ms("p50_us"), ms("p99_us"), head_bytes,
            f"{ratio:.2f}" if ratio is not None else "",
            "; ".join(verdicts) if judged else ""]


if __name__ == "__main__":
    sys.exit(main())
