"""The real strands-agents package, measured in its own process: one command per line, one answer per line."""

import json
import os
import sys
import time
from importlib.metadata import version

from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.models import Model
from strands.session.file_session_manager import FileSessionManager
from strands.types.session import SessionAgent, SessionMessage

SESSION, AGENT = "s", "a"


class Silent(Model):
    """A model that is never asked."""

    def update_config(self, **config):
        pass

    def get_config(self):
        return {}

    async def structured_output(self, output_model, prompt, system_prompt=None, **kwargs):
        raise NotImplementedError
        yield

    async def stream(self, messages, tool_specs=None, system_prompt=None, **kwargs):
        raise NotImplementedError
        yield


def manager(directory):
    return FileSessionManager(session_id=SESSION, storage_dir=directory)


def record(number, message):
    return SessionMessage.from_message(message, number)


def fill(directory, source):
    files = manager(directory)
    state = {"__name__": "NullConversationManager", "removed_message_count": 0}
    agent = SessionAgent(agent_id=AGENT, state={}, conversation_manager_state=state)
    files.create_agent(SESSION, agent)
    with open(source, encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            files.create_message(SESSION, AGENT, record(number, json.loads(line)))


def append(directory, first, count, size):
    """Writes messages one by one. The package syncs nothing."""
    files = manager(directory)
    text = "x" * (size - 44)
    for number in range(first, first + count):
        files.create_message(SESSION, AGENT, record(number, {"role": "user", "content": [{"text": text}]}))


def list_messages(directory):
    """Reads every message of the agent, and makes nothing of it."""
    return len(manager(directory).list_messages(SESSION, AGENT))


def restore(directory):
    """What a program waits for when it goes on with a conversation."""
    agent = Agent(
        agent_id=AGENT,
        model=Silent(),
        session_manager=manager(directory),
        conversation_manager=NullConversationManager(),
        callback_handler=None,
    )
    return len(agent.messages)


def size_on_disk(directory):
    total = 0
    for path, _, names in os.walk(directory):
        total += sum(os.stat(os.path.join(path, name)).st_blocks * 512 for name in names)
    return total


def main():
    commands = {f.__name__: f for f in (fill, append, list_messages, restore, size_on_disk)}
    print(json.dumps({"strands": version("strands-agents"), "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        start = time.perf_counter()
        answer = commands[name](*arguments)
        print(json.dumps({"seconds": time.perf_counter() - start, "answer": answer}), flush=True)


main()
