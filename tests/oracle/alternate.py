"""The real package and ours take turns on one directory; after each turn both read the same.

usage: alternate.py BINARY DIRECTORY [TURNS]                through import --update and export
       alternate.py --directory EXAMPLE DIRECTORY [TURNS]   through the example shared_directory
"""

import json
import random
import subprocess
import sys
from pathlib import Path

from package import MockModel
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.session.file_session_manager import FileSessionManager

SESSION, AGENT = "shared", "default"


def message(turn):
    return {"role": random.choice(["user", "assistant"]), "content": [{"text": f"turn {turn} \u00e4\U0001f389"}]}


def package_turn(directory, turn):
    """One operation of the package."""
    manager = FileSessionManager(session_id=SESSION, storage_dir=str(directory))
    agent = Agent(
        agent_id=AGENT,
        model=MockModel(),
        session_manager=manager,
        conversation_manager=NullConversationManager(),
        callback_handler=None,
    )
    kind = random.randrange(3)
    if kind == 0 or manager._latest_agent_message[AGENT] is None:
        manager.append_message(message(turn), agent)
    elif kind == 1:
        manager.redact_latest_message(message(-turn), agent)
    else:
        agent.state.set(f"key{turn % 5}", {"turn": turn, "half": turn / 2})
        manager.sync_agent(agent)


def package_reads(directory):
    manager = FileSessionManager(session_id=SESSION, storage_dir=str(directory))
    messages = [m.to_message() for m in manager.list_messages(SESSION, AGENT)]
    return messages, manager.read_agent(SESSION, AGENT).state


class Ours:
    def __init__(self, binary, work):
        self.run = [binary, "-q", "--store", str(work / "store")]
        self.directory = work / "shared"

    def call(self, *args, stdin=""):
        done = subprocess.run([*self.run, *args], input=stdin.encode(), capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{args}: {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    def update(self):
        self.call("import", str(self.directory), "--update")

    def export(self):
        self.call("export", SESSION, "--to", str(self.directory), "--force")

    def turn(self, turn):
        """One operation of ours."""
        count = len(self.call("show", SESSION, "--json").splitlines())
        kind = random.randrange(3)
        if kind == 0 or count == 0:
            self.call("append", SESSION, stdin=json.dumps(message(turn)))
        elif kind == 1:
            self.call("redact", SESSION, "--message", str(count - 1), stdin=json.dumps(message(-turn)))
        else:
            state = json.loads(self.call("export", SESSION, "--to", str(self.directory), "--force", "--json"))
            agent = Path(state["path"]) / "agents" / f"agent_{AGENT}" / "agent.json"
            state = json.loads(agent.read_text())["state"] | {f"key{turn % 5}": {"ours": turn}}
            self.call("sync-state", SESSION, stdin=json.dumps({"state": state}))
        self.export()

    def reads(self):
        lines = [json.loads(line) for line in self.call("show", SESSION, "--json").splitlines()]
        return [line["message"] for line in lines]


class OursDirectly:
    """Ours on the directory itself."""

    def __init__(self, example, work):
        self.example, self.directory = example, work / "shared"

    def call(self, operation, value=None):
        command = [self.example, str(self.directory), SESSION, AGENT, operation]
        done = subprocess.run(command, input=json.dumps(value).encode(), capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{operation}: {done.returncode}: {done.stderr.decode()}")
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def turn(self, turn):
        """One operation of ours."""
        kind = random.randrange(3)
        state, *messages = self.call("show")
        if kind == 0 or not messages:
            self.call("append", message(turn))
        elif kind == 1:
            self.call("redact", message(-turn))
        else:
            self.call("state", state | {f"key{turn % 5}": {"ours": turn}})

    def reads(self):
        state, *messages = self.call("show")
        return messages, state


def alternate_directly(example, work, turns):
    ours = OursDirectly(example, work)
    ours.directory.mkdir()
    for turn in range(turns):
        random.choice([lambda: package_turn(ours.directory, turn), lambda: ours.turn(turn)])()
        theirs = package_reads(ours.directory)
        if list(theirs) != list(ours.reads()):
            sys.exit(f"turn {turn}: the package reads {theirs}, we read {ours.reads()}")
    print(f"{turns} turns on one directory: {turns} passed, 0 failed")


def main():
    random.seed(1)
    directly = sys.argv[1] == "--directory"
    binary, work, *turns = sys.argv[2 if directly else 1 :]
    work, turns = Path(work), int(turns[0]) if turns else 200
    work.mkdir(parents=True)
    if directly:
        alternate_directly(binary, work, turns)
        return
    ours = Ours(binary, work)
    ours.directory.mkdir()
    package_turn(ours.directory, 0)
    ours.update()
    for turn in range(1, turns + 1):
        if random.random() < 0.5:
            package_turn(ours.directory, turn)
            ours.update()
        else:
            ours.turn(turn)
        messages, _ = package_reads(ours.directory)
        if messages != ours.reads():
            sys.exit(f"turn {turn}: the package reads {messages[-2:]}, we read {ours.reads()[-2:]}")
        version = json.loads(ours.call("info", SESSION, "--json"))["version"]
        ours.update()
        if json.loads(ours.call("info", SESSION, "--json"))["version"] != version:
            sys.exit(f"turn {turn}: a second update wrote something")
    print(f"{turns} alternating turns: {turns} passed, 0 failed")


if __name__ == "__main__":
    main()
