"""What sync costs over a slow network, beside the reference's S3SessionManager on the same server.

Usage: measure.py SESSIONLOG ENDPOINT [MESSAGES] [REFERENCE_MESSAGES]
Needs boto3 and strands-agents, and a server with the bucket `sessions` (docs/TESTING.md). Every request is held up
for 50 ms by a proxy in this script.
"""

import json, os, socket, subprocess, sys, tempfile, threading, time

binary, endpoint = sys.argv[1], sys.argv[2]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
few = int(sys.argv[4]) if len(sys.argv) > 4 else 200
host, port = endpoint.removeprefix("http://").split(":")
requests = 0


def pump(source, target, is_request):
    global requests
    try:
        while data := source.recv(1 << 16):
            if is_request and data[:4] in (b"GET ", b"PUT ", b"HEAD", b"POST", b"DELE"):
                requests += 1
                time.sleep(0.05)
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def proxy(listener):
    while True:
        client, _ = listener.accept()
        upstream = socket.create_connection((host, int(port)))
        for pair in ((client, upstream, True), (upstream, client, False)):
            pair[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=pair, daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=proxy, args=(listener,), daemon=True).start()
slow = f"http://127.0.0.1:{listener.getsockname()[1]}"
os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest", "AWS_DEFAULT_REGION": "us-east-1"}
prefix = f"measure-{os.getpid()}"
at = ["--remote", f"s3://sessions/{prefix}", "--endpoint", slow, "--allow-http"]


def message(i):
    return {"role": "user" if i % 2 == 0 else "assistant", "content": [{"text": f"{i} " + "x" * 500}]}


def timed(what, work):
    before, start = requests, time.monotonic()
    work()
    print(f"{what}: {time.monotonic() - start:.2f} s, {requests - before} requests", flush=True)


def run(store, *args, stdin=""):
    subprocess.run([binary, "--store", store, "-q", *args], input=stdin, text=True, check=True, stdout=subprocess.DEVNULL)


with tempfile.TemporaryDirectory() as root:
    one, two = f"{root}/one", f"{root}/two"
    lines = "".join(json.dumps(message(i)) + "\n" for i in range(count))
    run(one, "append", "s", "--batch", "100", stdin=lines)
    timed(f"push {count} messages", lambda: run(one, "push", "s", *at))
    run(one, "append", "s", stdin=json.dumps(message(0)))
    timed("push one message", lambda: run(one, "push", "s", *at))
    timed("sync, unchanged", lambda: run(one, "sync", "s", *at))
    timed(f"restore {count} messages", lambda: run(two, "clone", "s", *at))

if few:
    import boto3
    from botocore.config import Config
    from strands.session.s3_session_manager import S3SessionManager
    from strands.types.session import SessionAgent, SessionMessage

    boto3.setup_default_session(region_name="us-east-1")
    config = Config(s3={"addressing_style": "path"})


    def reference(url):
        os.environ["AWS_ENDPOINT_URL_S3"] = url
        return S3SessionManager("s", bucket="sessions", prefix=f"{prefix}/ref", boto_client_config=config)

    # All but the first are written without the proxy: that is not what is measured.
    manager = reference(endpoint)
    manager.create_agent("s", SessionAgent(agent_id="a", state={}, conversation_manager_state={}))
    for i in range(1, few):
        manager.create_message("s", "a", SessionMessage.from_message(message(i), i))
    manager = reference(slow)
    first = SessionMessage.from_message(message(0), 0)
    timed("reference: write one message", lambda: manager.create_message("s", "a", first))
    timed(f"reference: read {few} messages", lambda: manager.list_messages("s", "a"))
