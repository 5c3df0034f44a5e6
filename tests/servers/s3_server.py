"""An S3 server in memory for tests: moto, with its requests one after the other, because it checks conditions and
then writes. Usage: s3_server.py PORT BUCKET... (pip install 'moto[server]'); prints "ready" when it listens.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

import logging

logging.getLogger("werkzeug").setLevel(logging.ERROR)
moto = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()


def one_at_a_time(environ, start_response):
    with turn:
        return moto(environ, start_response)


server = make_server("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

import urllib.request

for bucket in sys.argv[2:]:
    url = f"http://127.0.0.1:{server.port}/{bucket}"
    urllib.request.urlopen(urllib.request.Request(url, method="PUT")).close()
print("ready", server.port, flush=True)
# Whoever started us closes our input when the tests are over.
sys.stdin.read()
