#!/usr/bin/env python3
"""What sync costs over a slow network, beside the reference's S3SessionManager on the same server, as a page.

    python3 tests/servers/measure.py SESSIONLOG > docs/benchmarks/sync.md
    python3 tests/servers/measure.py SESSIONLOG --reference 0      without the reference, which takes most of the time

SESSIONLOG is a release binary with the feature s3. Makes its own radosgw (radosgw.sh says what to install). Every
request is held up for 50 ms by a proxy in this script, and counted there. The reference needs boto3 and
strands-agents: tests/oracle/venv.sh prints a python that has them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

from network import Proxy
from rgw import Server

args = argparse.ArgumentParser()
args.add_argument("binary")
args.add_argument("--messages", type=int, default=10_000)
args.add_argument("--reference", type=int, default=10_000, help="messages of the reference; 0: without it")
args.add_argument("--large", type=int, default=200_000, help="messages of the session whose memory is measured")
args.add_argument("--delay", type=float, default=0.05, help="seconds")
args = args.parse_args()
rows = []


def message(i, length=500):
    return {"role": "user" if i % 2 == 0 else "assistant", "content": [{"text": f"{i} " + "x" * length}]}


def timed(what, work):
    """Notes the time and the requests of something; what it returns is its memory, if anything."""
    before, start = proxy.requests, time.monotonic()
    memory = work()
    seconds = time.monotonic() - start
    rows.append((what, seconds, proxy.requests - before, memory))
    print(f"{what}: {seconds:.2f} s, {proxy.requests - before} requests, {memory or '-'}", file=sys.stderr, flush=True)
    return seconds


def run(store, *command, lines=(), remote=True):
    """Runs a command; the peak of its memory in MiB, as the kernel keeps it (VmHWM)."""
    at = ["--remote", "s3://sessions/measure", "--endpoint", proxy.endpoint, "--allow-http"] if remote else []
    process = subprocess.Popen([args.binary, "--store", store, "-q", *command, *at], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for line in lines:
        process.stdin.write(line)
    process.stdin.close()
    peak = 0
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status") as status:
            peak = max([peak, *(int(line.split()[1]) for line in status if line.startswith("VmHWM"))])
        time.sleep(0.005)
    if process.returncode != 0:
        sys.exit(f"{command}: {process.returncode}")
    return peak // 1024


def append(store, session, count, length=500):
    lines = ((json.dumps(message(i, length)) + "\n").encode() for i in range(count))
    run(store, "append", session, "--batch", "100", lines=lines, remote=False)


def ours(root):
    one, two, count = f"{root}/one", f"{root}/two", args.messages
    append(one, "s", count)
    timed(f"push {count:,} messages, the store's first push", lambda: run(one, "push", "s"))
    append(one, "s", 1)
    timed("push one message", lambda: run(one, "push", "s"))
    timed("sync a session without a change", lambda: run(one, "sync", "s"))
    restore = timed(f"restore {count:,} messages", lambda: run(two, "clone", "s"))
    many = f"{root}/many"
    for i in range(100):
        append(many, f"m{i}", 3)
    timed("first push of 100 sessions", lambda: run(many, "push", "--all"))
    timed("sync 100 sessions without a change", lambda: run(many, "sync", "--all"))
    return restore


def memory(root):
    """A session many times as long as anything that is held at once."""
    large, copy = f"{root}/large", f"{root}/copy"
    append(large, "l", args.large, 1000)
    size = sum(entry.stat().st_size for entry in os.scandir(f"{large}/sessions/l") if entry.is_file()) >> 20
    timed(f"push {args.large:,} messages, {size} MiB", lambda: run(large, "push", "l"))
    timed("clone them", lambda: run(copy, "clone", "l"))
    append(large, "l", args.large // 4, 1000)
    timed("push a quarter more", lambda: run(large, "push", "l"))
    timed("pull a quarter more", lambda: run(copy, "pull", "l"))


def reference(count):
    import boto3
    from botocore.config import Config
    from strands.session.s3_session_manager import S3SessionManager
    from strands.types.session import SessionAgent, SessionMessage

    boto3.setup_default_session(region_name="us-east-1")
    config = Config(s3={"addressing_style": "path"})

    def manager_at(url):
        os.environ["AWS_ENDPOINT_URL_S3"] = url
        return S3SessionManager("s", bucket="sessions", prefix="reference", boto_client_config=config)

    # All but the first are written without the proxy: that is not what is measured.
    manager = manager_at(server.endpoint)
    manager.create_agent("s", SessionAgent(agent_id="a", state={}, conversation_manager_state={}))
    for i in range(1, count):
        manager.create_message("s", "a", SessionMessage.from_message(message(i), i))
    manager = manager_at(proxy.endpoint)
    first = SessionMessage.from_message(message(0), 0)
    timed("reference: write one message", lambda: manager.create_message("s", "a", first))
    return timed(f"reference: read {count:,} messages", lambda: manager.list_messages("s", "a") and None)


def page(restore, read):
    version = subprocess.run([args.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    cores, kernel, load = os.cpu_count(), platform.release(), os.getloadavg()[0]
    print("# Sync over a slow network\n")
    options = f" --reference {args.reference}" if args.reference != 10_000 else ""
    print(f"One run of `python3 tests/servers/measure.py SESSIONLOG{options} > docs/benchmarks/sync.md`: the command line, a process for each")
    print(f"row, against Ceph's radosgw on the same machine, each request held up for {args.delay * 1000:.0f} ms by a proxy. Messages have 550 bytes,")
    print("those of the large session 1,050. Memory is the peak of the process (VmHWM).\n")
    priority = "real-time priority (chrt -r 1) for all of it, server and reference too" if os.sched_getscheduler(0) else "normal priority"
    print(f"{version}; {cores} cores, Linux {kernel}, load {load:.1f} when it ended; {priority}.\n")
    print("| what | seconds | requests | memory |\n|---|---:|---:|---:|")
    for what, seconds, requests, mib in rows:
        print(f"| {what} | {seconds:.2f} | {requests:,} | {f'{mib} MiB' if mib else ''} |")
    if read:
        each = read / args.reference * args.messages
        took = "took" if args.messages == args.reference else f"would take, at {read / args.reference * 1000:.1f} ms a message as with {args.reference:,},"
        print(f"\nRestoring {args.messages:,} messages {took} the reference {each:.0f} s; it took us {restore:.2f} s. That is {each / restore:.0f} times as long.")


with tempfile.TemporaryDirectory() as root:
    server = Server(f"{root}/rgw", 7880)
    try:
        proxy = Proxy(server.endpoint, delay=args.delay)
        restore = ours(root)
        memory(root)
        read = reference(args.reference) if args.reference else None
        page(restore, read)
    finally:
        server.stop()
