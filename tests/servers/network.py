"""A network between a client and a server on this machine: slow, throttled, cut. It counts the requests."""

import random
import socket
import threading
import time

METHODS = (b"GET ", b"PUT ", b"HEAD", b"POST", b"DELE")


class Proxy:
    """Passes connections on to `server`. `delay`: seconds that each request is held up. `bad`: the share of
    connections that are cut, before the request arrives or before its answer does, or throttled to some KiB/s."""

    def __init__(self, server, delay=0.0, bad=0.0, seed=0):
        self.server, self.delay, self.bad = server.removeprefix("http://").split(":"), delay, bad
        self.random, self.requests, self.cuts, self.throttled = random.Random(seed), 0, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                upstream = socket.create_connection((self.server[0], int(self.server[1])))
            except OSError:
                client.close()
                continue
            fate = self.random.choice(("request", "answer", "throttle")) if self.random.random() < self.bad else None
            for source, target, way in ((client, upstream, "request"), (upstream, client, "answer")):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(source, target, way, fate), daemon=True).start()

    def _pump(self, source, target, way, fate):
        try:
            while data := source.recv(1 << 16):
                if way == "request" and data[:4] in METHODS:
                    self.requests += 1
                    time.sleep(self.delay)
                if fate == way:
                    self.cuts += 1
                    # Half of what there is, so that the other side has something to be confused by.
                    target.sendall(data[: len(data) // 2])
                    break
                if fate == "throttle":
                    self.throttled += way == "request"
                    for at in range(0, len(data), 512):
                        target.sendall(data[at : at + 512])
                        time.sleep(0.02)
                else:
                    target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
