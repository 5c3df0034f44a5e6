#!/usr/bin/env python3
"""Sync through the wire, against Ceph's radosgw: races, killed pushers, a server that goes, a network that cuts.

    tests/servers/wire.py SESSIONLOG             all of it: 16 processes, 200 rounds
    tests/servers/wire.py SESSIONLOG --short     a form of it for every day

SESSIONLOG is a binary with the feature s3. Makes its own server (radosgw.sh says what to install) and ends it.
All parts work on one session. The oracle, at the end: every device has the same events at every version, each
acknowledged message is there exactly once, and every object of the bucket passes its checks. Status 1 if not.
"""

import collections
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from network import Proxy
from rgw import Server

BINARY = sys.argv[1]
SHORT = "--short" in sys.argv
PROCESSES, ROUNDS = (8, 8) if SHORT else (16, 200)
KILLS, RESTARTS, CUT_PUSHES = (25, 1, 8) if SHORT else (400, 5, 150)
NORMAL = {0, 5}
FAULTS = NORMAL | {9, 10}

counts = collections.Counter()
counting = threading.Lock()


class Device:
    def __init__(self, root, number):
        self.store, self.number, self.texts = f"{root}/{number}", number, []

    def command(self, endpoint, *args):
        at = ["--remote", "s3://sessions/wire", "--endpoint", endpoint, "--allow-http"]
        return [BINARY, "-q", "--json", "--store", self.store, *args, *(at if endpoint else [])]

    def append(self):
        text = f"<{self.number}-{len(self.texts)}>"
        message = json.dumps({"role": "user", "content": [{"text": text}]})
        done = subprocess.run(self.command("", "append", "s"), input=message, text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"append: {done.returncode}: {done.stderr}")
        self.texts.append(text)

    def sync(self, endpoint, allowed=NORMAL):
        """One process; whether the remote has everything of ours now."""
        done = subprocess.run(self.command(endpoint, "sync", "s", "--rebase"), text=True, capture_output=True)
        if done.returncode not in allowed:
            raise RuntimeError(f"device {self.number}: status {done.returncode}: {done.stdout}{done.stderr}")
        answer = json.loads(done.stdout) if done.returncode == 0 else {"result": f"status {done.returncode}"}
        with counting:
            counts[answer["result"]] += 1
        return done.returncode == 0 and answer["local"] == answer["remote"]

    def settle(self, endpoint, allowed=NORMAL):
        for attempt in range(1000):
            if self.sync(endpoint, allowed):
                return
            # The next process of a device that lost comes a moment later.
            time.sleep(random.uniform(0, 0.05 * min(attempt, 8)))
        raise RuntimeError(f"device {self.number} does not come to an end")

    def tidy(self):
        """The branches of past rounds, which would take much room."""
        for branch in Path(self.store, "sessions/s/quarantine").glob("branch-*"):
            shutil.rmtree(branch)

    def events(self):
        return subprocess.run(self.command("", "log", "s"), text=True, capture_output=True, check=True).stdout


def all_at_once(devices, work):
    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(work, devices))


def race(devices, endpoint):
    """Every process pushes at once, again and again; who loses rebases and goes on."""
    for number in range(ROUNDS):
        if number % 20 == 0:
            print(f"  round {number}", file=sys.stderr, flush=True)
        for device in devices:
            device.append()
        all_at_once(devices, lambda device: device.settle(endpoint))
        for device in devices:
            device.tidy()


def kills(devices, endpoint):
    """A pusher that is killed with SIGKILL at a random moment, while another moves the history on."""
    victim, other = devices[:2]
    chance = random.Random(1)
    for i in range(KILLS):
        victim.append()
        if i % 4 == 0:
            other.append()
            other.settle(endpoint)
        pusher = subprocess.Popen(victim.command(endpoint, "sync", "s", "--rebase"), stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.3))
        counts["killed"] += pusher.poll() is None
        pusher.kill()
        pusher.wait()
    victim.settle(endpoint)
    victim.tidy()


def restarts(devices, server):
    """The server goes and comes back while devices push."""
    ended = threading.Event()

    def work(device):
        while not ended.is_set():
            device.append()
            if not device.sync(server.endpoint, FAULTS):
                time.sleep(0.2)

    helpers = ThreadPoolExecutor(4)
    working = [helpers.submit(work, device) for device in devices[:4]]
    for _ in range(RESTARTS):
        time.sleep(1)
        server.stop()
        time.sleep(1)
        server.start()
    time.sleep(1)
    ended.set()
    for one in working:
        one.result()
    all_at_once(devices[:4], lambda device: device.settle(server.endpoint, FAULTS))


def bad_network(devices, server):
    """Connections that are throttled, cut before the request arrives, or cut before its answer does."""
    proxy = Proxy(server.endpoint, bad=0.4, seed=7)

    def work(device):
        for _ in range(CUT_PUSHES):
            device.append()
            device.sync(proxy.endpoint, FAULTS)
        device.settle(proxy.endpoint, FAULTS)

    all_at_once(devices[:3], work)
    print(f"  {proxy.requests} requests, {proxy.cuts} cut, {proxy.throttled} throttled", flush=True)


def check(devices, endpoint):
    for _ in range(2):
        for device in devices:
            device.settle(endpoint)
    logs = {device.events() for device in devices}
    if len(logs) != 1:
        sys.exit(f"{len(logs)} histories of {len(devices)} devices")
    history = logs.pop()
    expected = [text for device in devices for text in device.texts]
    wrong = [text for text in expected if history.count(text) != 1]
    if wrong:
        sys.exit(f"{len(wrong)} of {len(expected)} messages are not there exactly once: {wrong[:5]}")
    verify = devices[0].command(endpoint, "remote", "verify", "--all")
    print(subprocess.run(verify, check=True, text=True, capture_output=True).stdout.strip())
    print(f"one history of {len(history.splitlines())} events; {len(expected)} messages, each exactly once")


def main():
    with tempfile.TemporaryDirectory() as root:
        server = Server(f"{root}/rgw")
        try:
            devices = [Device(root, number) for number in range(PROCESSES)]
            devices[0].append()
            devices[0].settle(server.endpoint)
            for device in devices[1:]:
                subprocess.run(device.command(server.endpoint, "clone", "s"), check=True, stdout=subprocess.DEVNULL)
            parts = {
                f"{PROCESSES} processes at once, {ROUNDS} rounds": lambda: race(devices, server.endpoint),
                f"{KILLS} killed pushers": lambda: kills(devices, server.endpoint),
                f"{RESTARTS} restarts of the server": lambda: restarts(devices, server),
                "a bad network": lambda: bad_network(devices, server),
            }
            for name, part in parts.items():
                start = time.monotonic()
                counts.clear()
                part()
                print(f"{name}: {time.monotonic() - start:.0f} s, {dict(counts)}", flush=True)
            check(devices, server.endpoint)
        finally:
            server.stop()


main()
