"""The load (wrk on processor 1) and the meters (processor time and memory of the server's processes)."""

import json
import os
import subprocess
import time

from client import Client
from servers import HERE, WITH_US, Refused

CPUCLOCK_SCHED = 2
KERNEL_STACK_BYTES = 16 * 1024  # THREAD_SIZE of x86-64 and arm64


def cpu_ns(pids):
    """Processor time of all threads, in ns.

    It is the sum that /proc/PID/task/*/schedstat shows, read from the process's own clock, which also keeps the time of
    threads that have ended (a thread per connection ends with its connection).
    """
    return sum(time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) for pid in pids)


def rss_bytes(pids):
    """Resident bytes, one number a process. smaps_rollup is exact where VmRSS lags by some pages a processor."""
    return [field_kib(f"/proc/{pid}/smaps_rollup", "Rss") * 1024 for pid in pids]


def pss_bytes(pids):
    """Resident bytes, one number a process, in which what processes share is counted once for all of them."""
    return [field_kib(f"/proc/{pid}/smaps_rollup", "Pss") * 1024 for pid in pids]


def kernel_bytes(pids):
    """What the kernel keeps for the processes' threads and address spaces: stacks and page tables."""
    threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)
    tables = sum(field_kib(f"/proc/{pid}/status", "VmPTE") for pid in pids) * 1024
    return threads * KERNEL_STACK_BYTES + tables


def field_kib(path, name):
    with open(path, encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise Refused(f"{path} has no {name}")


def wrk(server, path, connections, seconds, mode="plain", may_fail=False):
    """Runs wrk once. Returns its figures; refuses if a single request failed, unless that is to be counted."""
    command = [*WITH_US, "taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
               "-s", os.path.join(HERE, "wrk.lua"), f"{server.scheme}://127.0.0.1:{server.port}{path}", "--", mode, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode != 0 or not lines:
        raise Refused(f"{server.name}: wrk failed: {done.stderr or done.stdout}")
    figures = json.loads(lines[0][len("RESULT "):])
    if (figures["errors"] and not may_fail) or not figures["requests"]:
        raise Refused(f"{server.name} {path}: {figures['errors']} of {figures['requests']} requests failed "
                      f"({lines[0]})")
    return figures


def measure(server, path, connections, seconds, mode="plain"):
    """One round: wrk's figures and cpu_us, the processor time of a request."""
    before_pids = server.pids()
    before = cpu_ns(before_pids)
    figures = wrk(server, path, connections, seconds, mode)
    if server.pids() != before_pids:
        raise Refused(f"{server.name}: a process came or went during the measurement")
    figures["cpu_us"] = (cpu_ns(before_pids) - before) / 1000 / figures["requests"]
    return figures


def check_answer(server, path, body):
    """The same bytes from everybody (JSON may order its keys as it likes). Returns the bytes of the head."""
    with Client(server.port) as client:
        status, head_bytes, got = client.ask(path)
    same = got == body or (body.startswith("{") and len(got) == len(body) and json.loads(got) == json.loads(body))
    if status != 200 or not same:
        raise Refused(f"{server.name} {path}: {status} {got[:80]!r} ({len(got)} bytes) where 200 "
                      f"{body[:80]!r} ({len(body)} bytes) was due")
    return head_bytes
