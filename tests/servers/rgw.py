"""Ceph's radosgw for a script: see radosgw.sh."""

import os
import subprocess
import time
from pathlib import Path

SCRIPT = Path(__file__).parent / "radosgw.sh"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest", "AWS_DEFAULT_REGION": "us-east-1"}
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Server:
    """A new, empty server below `directory`, with the bucket `sessions`."""

    def __init__(self, directory, port=7780):
        self.directory = directory
        self.endpoint = self._run("init", str(port))
        self.bucket("sessions")

    def _run(self, *args):
        # Its daemons inherit what we give, so its answer goes through a file.
        with open(f"{self.directory}.out", "w+") as out:
            subprocess.run([SCRIPT, args[0], self.directory, *args[1:]], check=True, stdout=out, stderr=out)
            out.seek(0)
            return out.read().split()[-1] if args[0] != "stop" else ""

    def bucket(self, name):
        sign = ["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", "test:testtest", "-H", f"x-amz-content-sha256: {NOTHING}"]
        subprocess.run(["curl", "-sf", "-X", "PUT", *sign, f"{self.endpoint}/{name}"], check=True)

    def stop(self):
        pids = [int((Path(self.directory) / f"{name}.pid").read_text()) for name in ("rgw", "osd", "mon")]
        self._run("stop")
        while any(is_running(pid) for pid in pids):
            time.sleep(0.05)

    def start(self):
        self._run("start")


def is_running(pid):
    """Whether the process still does something; one that nobody has waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


os.environ |= ENVIRONMENT
