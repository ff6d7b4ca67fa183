"""W7: five reloads under load: connections that are lost, requests that fail, and what it does to the latency."""

import os
import shutil
import signal
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from client import Client
from load import check_answer, wrk
from servers import CHANGING, HERE, MOONGATE, USER, Refused, Server, available, connected_ports
from table import show, verdict

CONNECTIONS = 64
RELOADS = 5
LEAST_SECONDS = 10
MOST_SECONDS = 80
RELOAD_S = 10
GOAL_P99 = 1.25
WHO = {"nginx+Lua": "nginx (W7)", "moongate": "moongate (W7)"}
SCRIPTS = {"nginx (W7)": "nginx.conf", "moongate (W7)": "app.lua"}
PATH = "/users/42"
# What the handler under load says, by the version of its script; equally long.
WORDS = ("user ", "USER ")


class TooShort(Refused):
    """The load was over before the reloads were."""


def run(args):
    seconds = max(args.seconds, LEAST_SECONDS)
    who = {label: server for label, server in WHO.items() if available(server)}
    rounds = [{label: measure_in_full(server, seconds) for label, server in who.items()} for _ in range(args.rounds)]
    header = ["server", f"dropped of {RELOADS} x {CONNECTIONS}", f"of {CONNECTIONS} idle", "failed requests",
              "p99 ms quiet", "p99 ms", "x quiet", "(min-max)", "goal"]
    show(f"W7  {RELOADS} reloads in {seconds} s or more of W2's load, {CONNECTIONS} connections", header,
         [row(label, [r[label] for r in rounds]) for label in who])


def row(label, figures):
    """Losses are the worst round's, latencies the median."""
    dropped, idle, failed = (max(f[key] for f in figures) for key in ("dropped", "idle", "failed"))
    ratios = [f["p99"] / f["quiet"] for f in figures]
    ratio = statistics.median(ratios)
    met = dropped == idle == failed == 0 and ratio <= GOAL_P99
    return [label, dropped, idle, failed, f"{statistics.median(f['quiet'] for f in figures) / 1000:.2f}",
            f"{statistics.median(f['p99'] for f in figures) / 1000:.2f}", f"{ratio:.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
            verdict(f"0, 0, 0, p99 <= {GOAL_P99} x quiet", met) if label == "moongate" else ""]


def measure_in_full(name, seconds):
    """With a load twice as long while the server takes longer to reload than that."""
    try:
        return measure(name, seconds)
    except TooShort:
        if 2 * seconds > MOST_SECONDS:
            raise
        return measure_in_full(name, 2 * seconds)


def measure(name, seconds):
    write_scripts(name)
    with Server(name) as server, ThreadPoolExecutor(1) as pool:
        check_answer(server, PATH, answer_of(0))
        wrk(server, PATH, CONNECTIONS, 1)
        quiet = wrk(server, PATH, CONNECTIONS, seconds)
        held = [Client(server.port) for _ in range(CONNECTIONS)]
        if not all(answers(client, 0) for client in held):
            raise Refused(f"{name}: a connection had no answer before the reloads")
        reloads = pool.submit(reload_often, server, seconds, {client.socket.getsockname()[1] for client in held})
        figures = wrk(server, PATH, CONNECTIONS, seconds, may_fail=True)
        dropped = reloads.result()
        idle = sum(not answers(client, RELOADS % 2) for client in held)
        for client in held:
            client.close()
        server.check_listener()
    return {"quiet": quiet["p99_us"], "p99": figures["p99_us"], "failed": figures["errors"], "dropped": dropped,
            "idle": idle}


def answers(client, version):
    try:
        status, _, body = client.ask(PATH)
        return status == 200 and WORDS[version] in body
    except OSError:
        return False


# --- reloads ---

def reload_often(server, seconds, held):
    """Reloads at even intervals while the load runs. Returns how many of its connections did not outlive a reload."""
    start = time.monotonic()
    gap = seconds / (RELOADS + 1)
    time.sleep(gap)
    dropped, before = 0, ports_of_load(server, held)
    if len(before) != CONNECTIONS:
        raise Refused(f"{server.name}: {len(before)} connections of the load were found, not {CONNECTIONS}")
    for n in range(1, RELOADS + 1):
        reload_once(server, n)
        # Half a gap early the last time, so that the load is still there.
        time.sleep(max(0, start + gap * (n + 1 if n < RELOADS else n + 0.5) - time.monotonic()))
        after = ports_of_load(server, held)
        dropped += len(before - after)
        before = after
    if time.monotonic() > start + seconds:
        raise TooShort(f"{server.name}: {RELOADS} reloads took longer than a load of {seconds} s")
    return dropped


def ports_of_load(server, held):
    # The table is not read in one piece, and may skip a line that is there all the time: hence twice.
    return (connected_ports(server.port) | connected_ports(server.port)) - held


def reload_once(server, n):
    body = answer_of(n % 2)
    write_version(server.name, n % 2)
    if server.name.startswith("nginx"):
        os.kill(server.process.pid, signal.SIGHUP)
        await_answer(server, body)
    else:
        command_reload(server)
        check_answer(server, PATH, body)


def command_reload(server):
    # On the server's processor: what a reload costs is the server's, not the load's.
    command = ["taskset", "-c", "0", MOONGATE, "reload", os.path.join(CHANGING, "moongate.lua")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RELOAD_S)
    if done.returncode != 0:
        raise Refused(f"{server.name}: the reload failed: {done.stderr or done.stdout}")


def await_answer(server, body):
    """Returns when a new connection gets the new script's answer; SIGHUP does not tell when that is."""
    deadline = time.monotonic() + RELOAD_S
    while True:
        try:
            return check_answer(server, PATH, body)
        except (Refused, OSError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


# --- scripts ---

def write_scripts(name):
    os.makedirs(CHANGING, exist_ok=True)
    shutil.copy(os.path.join(HERE, "moongate.lua"), CHANGING)
    write_version(name, 0)


def write_version(name, version):
    script = SCRIPTS[name]
    with open(os.path.join(HERE, script), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(CHANGING, script), "w", encoding="utf-8") as f:
        f.write(text.replace(f'"{WORDS[0]}"', f'"{WORDS[version]}"'))


def answer_of(version):
    return USER.replace(WORDS[0], WORDS[version])
