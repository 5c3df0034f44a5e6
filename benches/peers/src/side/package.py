"""The real strands-agents package, measured in its own process: one command per line, one answer per line."""

import json
import sys
import time
from importlib.metadata import version

from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.models import Model
from strands.session.file_session_manager import FileSessionManager
from strands.types.session import SessionAgent, SessionMessage

SESSION, AGENT = "s", "a"
open_managers = {}


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
    files = open_managers.setdefault(directory, None) or manager(directory)
    open_managers[directory] = files
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


def main():
    commands = {f.__name__: f for f in (fill, append, list_messages, restore)}
    print(json.dumps({"strands": version("strands-agents"), "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        start = time.perf_counter()
        answer = commands[name](*arguments)
        print(json.dumps({"seconds": time.perf_counter() - start, "answer": answer}), flush=True)


main()
