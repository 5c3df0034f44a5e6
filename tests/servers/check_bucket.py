"""The real S3SessionManager and ours on one bucket: it reads what we exported and answers as expected.json says; we
import what it wrote and export it again byte for byte.

Usage: check_bucket.py SESSIONLOG ENDPOINT BUCKET FIXTURES [MESSAGES]
Needs boto3 and strands-agents (tests/oracle/requirements.txt). FIXTURES is the unpacked standard-layout.tar.gz.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "oracle"))
import boto3
from botocore.config import Config
from check_export import differences
from package import MockModel, agent_answers, answer, conversation_manager
from strands import Agent
from strands.session.s3_session_manager import S3SessionManager
from strands.types.session import SessionAgent, SessionMessage

binary, endpoint, bucket, fixtures = sys.argv[1:5]
count = int(sys.argv[5]) if len(sys.argv) > 5 else 2_500
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "testtest",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_S3": endpoint,
}
config = Config(s3={"addressing_style": "path"}, max_pool_connections=4)
client = boto3.client("s3", config=config)
root = f"bucket-{os.getpid()}"
failed = []


def manager_of(session, prefix):
    return S3SessionManager(session, bucket=bucket, prefix=prefix, boto_client_config=config)


def ours(store, *args):
    at = ["--endpoint", endpoint, "--allow-http", "--region", "us-east-1"]
    done = subprocess.run([binary, "-q", "--store", store, *args, *at], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{args}: {done.returncode}: {done.stderr}")


def objects(prefix):
    """Every object below a prefix: its bytes and its content type."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    found = {}
    for item in (item for page in pages for item in page.get("Contents", [])):
        got = client.get_object(Bucket=bucket, Key=item["Key"])
        found[item["Key"].removeprefix(f"{prefix}/")] = (got["Body"].read(), got["ContentType"])
    return found


def restored(session, prefix, agent_id):
    manager = manager_of(session, prefix)
    record = manager.read_agent(session, agent_id)
    agent = Agent(
        agent_id=agent_id,
        model=MockModel(),
        session_manager=manager,
        conversation_manager=conversation_manager(record),
        callback_handler=None,
    )
    latest = manager._latest_agent_message[agent_id]
    return {
        "messages": agent.messages,
        "state": agent.state.get(),
        "next_message_id": latest.message_id + 1 if latest else 0,
        "conversation_manager_state": agent.conversation_manager.get_state(),
        "interrupt_state": agent._interrupt_state.to_dict(),
        "model_state": agent._model_state,
    }


def answers(session, prefix, expected):
    """What the package says of a session in the bucket; what it restores comes last, because it writes."""
    manager = manager_of(session, prefix)
    found = {
        "read_session": answer(lambda: manager.read_session(session).to_dict()),
        "open_manager": {"ok": "opened"},
        "agents": {a: agent_answers(manager, "/nowhere", session, a) for a in expected["agents"]},
        "multi_agents": {
            m: answer(lambda: manager.read_multi_agent(session, m)) for m in expected["multi_agents"]
        },
    }
    for agent_id, said in found["agents"].items():
        said["restored"] = answer(lambda: restored(session, prefix, agent_id))
    return found


def check_fixtures(work):
    for directory in sorted(Path(fixtures).iterdir()):
        if directory.name == "21_corrupt":
            continue
        store, prefix = f"{work}/{directory.name}", f"{root}/{directory.name}"
        url = f"s3://{bucket}/{prefix}"
        subprocess.run([binary, "-q", "--store", store, "import", directory / "store"], check=True, stdout=subprocess.DEVNULL)
        ours(store, "export", "--all", "--to", url)
        files = {p.relative_to(directory / "store").as_posix(): p for p in (directory / "store").rglob("*.json")}
        exported = objects(prefix)
        if exported != {name: (path.read_bytes(), "application/json") for name, path in files.items()}:
            failed.append(f"{directory.name}: keys, bytes or content types differ")
        expected = json.loads((directory / "expected.json").read_text())["sessions"]
        for session, wanted in expected.items():
            found = json.loads(json.dumps(answers(session, prefix, wanted)))
            failed.extend(f"{directory.name}: {d}" for d in differences(wanted, found))
        print(f"{directory.name}: {len(files)} objects, {len(expected)} sessions", flush=True)


def check_many(work):
    """A session that the package wrote, with more messages than one listing shows."""
    theirs, back = f"{root}/theirs", f"{root}/back"
    manager = manager_of("many \u00e4", theirs)
    manager.create_agent("many \u00e4", SessionAgent(agent_id="a", state={"n": 1}, conversation_manager_state={}))
    for i in range(count):
        text = {"role": "user" if i % 2 == 0 else "assistant", "content": [{"text": f"{i} \u00e4\U0001f389"}]}
        manager.create_message("many \u00e4", "a", SessionMessage.from_message(text, i))
    ours(f"{work}/many", "import", f"s3://{bucket}/{theirs}")
    ours(f"{work}/many", "export", "--all", "--to", f"s3://{bucket}/{back}")
    if (written := objects(theirs)) != objects(back):
        failed.append("what the package wrote did not come back as it was")
    ours(f"{work}/many", "import", f"s3://{bucket}/{theirs}/session_many \u00e4", "--update")
    ours(f"{work}/many", "export", "--all", "--to", f"s3://{bucket}/{back}", "--force")
    read = manager_of("many \u00e4", back).list_messages("many \u00e4", "a")
    if [m.message_id for m in read] != list(range(count)):
        failed.append("the package does not read all messages of our export")
    print(f"{len(written)} objects of the package: imported and exported byte for byte", flush=True)


with tempfile.TemporaryDirectory() as work:
    check_fixtures(work)
    check_many(work)
print("\n".join(failed) or "passed")
sys.exit(bool(failed))
