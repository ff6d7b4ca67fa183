"""W9: PostgreSQL from a handler, against node with `postgres` (which pipelines) and with `pg`.

One row by key under wrk; 64 statements at a time over 4 connections, and 100,000 rows by COPY, without HTTP between them.
The server of PostgreSQL and the load share processor 1.
"""

import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile

from load import cpu_ns, measure, wrk
from servers import HERE, MOONGATE, ROOT, SERVERS, Refused, Server
from table import show

PORT = 18095
URL = f"postgres://moongate@127.0.0.1:{PORT}/postgres"
FOLDER = os.path.join(HERE, "postgres")
DRIVERS = os.path.join(ROOT, "build", "bench", "node-postgres")
PACKAGES = ("postgres@3.4.9", "pg@8.23.1", "pg-copy-streams@6.0.6")
STATEMENTS, AT_ONCE, ROWS = 100000, 64, 100000
GOAL = 0.5
ENTRIES = ("node postgres", "node pg", "moongate")


def run(args):
    install()
    folder = tempfile.mkdtemp(prefix="mg-bench-")
    os.chmod(folder, 0o755)
    cluster = os.path.join(folder, "postgres")
    postgres("start", cluster, str(PORT), "max_connections=200", "shared_buffers=64MB", on_processor_1=True)
    try:
        fill()
        name_servers()
        compare(args)
    finally:
        postgres("stop", cluster)
        shutil.rmtree(folder, ignore_errors=True)


def install():
    """The two drivers of node, into build/."""
    if os.path.isdir(os.path.join(DRIVERS, "node_modules", "pg-copy-streams")):
        return
    os.makedirs(DRIVERS, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", DRIVERS, *PACKAGES], check=True)


def postgres(*argv, on_processor_1=False):
    pin = ["taskset", "-c", "1"] if on_processor_1 else []
    subprocess.run([*pin, os.path.join(ROOT, "tests", "setup", "postgres.sh"), *argv], check=True, cwd=ROOT)


def fill():
    sql("CREATE TABLE rows (id int PRIMARY KEY, name text, n int)",
        "INSERT INTO rows SELECT i, 'the name of row ' || i, i * 7 FROM generate_series(1, 10000) AS i",
        "CREATE UNLOGGED TABLE copied (id int, name text, n int)", "VACUUM ANALYZE rows")


def sql(*texts):
    for text in texts:
        subprocess.run(["psql", "-X", "-q", URL, "-c", text], check=True, stdout=subprocess.DEVNULL)


def name_servers(pool=16):
    env = ["env", f"POOL={pool}", f"NODE_PATH={os.path.join(DRIVERS, 'node_modules')}"]
    node = os.path.join(FOLDER, "node.js")
    SERVERS["node postgres"] = (18097, [*env, "node", node, "postgres", "18097", URL])
    SERVERS["node pg"] = (18098, [*env, "node", node, "pg", "18098", URL])
    SERVERS["moongate (database)"] = (18096, ["env", "PORT=18096", f"DATABASE_URL={URL}?pool={pool}", MOONGATE, "run",
                                              os.path.join(FOLDER, "moongate.lua")])


def server_of(entry):
    return "moongate (database)" if entry == "moongate" else entry


def compare(args):
    show_rows(args)
    name_servers(pool=4)
    show_work(args, f"{STATEMENTS} statements, {AT_ONCE} at a time on 4 connections", f"/many/{STATEMENTS}/{AT_ONCE}", STATEMENTS)
    show_work(args, f"{ROWS} rows by COPY", f"/copy/{ROWS}", ROWS)


def table(what, rows, unit):
    """`rows`: label -> [(rate, CPU us, more)] of each round."""
    best = [min(rows[e][i][1] for e in ENTRIES[:-1]) for i in range(len(rows[ENTRIES[0]]))]
    lines = []
    for label in ENTRIES:
        rate, cpu = (statistics.median(r[i] for r in rows[label]) for i in (0, 1))
        ratio = statistics.median(r[1] / b for r, b in zip(rows[label], best))
        goal = ("met" if ratio <= GOAL else "missed") if label == "moongate" else ""
        lines.append([label, f"{rate:.0f}", f"{cpu:.2f}", f"{ratio:.2f}", rows[label][0][2], goal])
    show(f"W9  {what}", ["", f"{unit}/s", f"CPU us/{unit[:-1]}", "x", "lag p99", f"goal <= {GOAL} x the better"], lines)


def show_rows(args):
    rounds = {label: [] for label in ENTRIES}
    servers = {label: Server(server_of(label)) for label in ENTRIES}
    for server in servers.values():
        server.__enter__()
    try:
        for label in ENTRIES:
            check(servers[label])
            wrk(servers[label], "/row/42", 64, 1, "plain")
        for _ in range(args.rounds):
            for label in ENTRIES:
                figures = measure(servers[label], "/row/42", 64, args.seconds, "plain")
                rounds[label].append((figures["requests"] / args.seconds, figures["cpu_us"], ""))
    finally:
        for server in servers.values():
            server.__exit__(None, None, None)
    table("one row by key in a handler, 64 connections", rounds, "requests")


def show_work(args, what, target, n):
    rounds = {label: [] for label in ENTRIES}
    for label in ENTRIES:
        with Server(server_of(label)) as server:
            ask(server, target)  # warm
            for _ in range(args.rounds):
                before = cpu_ns(server.pids())
                told = ask(server, target)
                cpu = (cpu_ns(server.pids()) - before) / 1000 / n
                rounds[label].append((n / told["seconds"], cpu, f"{told['lag_ms']:.1f} ms"))
    table(what, rounds, "rows" if "COPY" in what else "statements")


def check(server):
    got = ask(server, "/row/42")
    if got != {"id": 42, "name": "the name of row 42", "n": 294}:
        raise Refused(f"/row/42: {got}")


def ask(server, target):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.request("GET", target)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise Refused(f"{target}: {answer.status} {text!r}")
    return json.loads(text)
