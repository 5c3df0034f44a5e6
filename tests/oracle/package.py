"""What the real package answers when it reads a storage directory."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from strands import Agent
from strands.agent.conversation_manager import (
    NullConversationManager,
    SlidingWindowConversationManager,
    SummarizingConversationManager,
)
from strands.models import Model
from strands.session.file_session_manager import FileSessionManager
from strands.types.session import encode_bytes_values


class MockModel(Model):
    """A model that says what it was told to say."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.config = {}

    def update_config(self, **config):
        self.config.update(config)

    def get_config(self):
        return self.config

    async def structured_output(self, output_model, prompt, system_prompt=None, **kwargs):
        raise NotImplementedError
        yield

    async def stream(self, messages, tool_specs=None, system_prompt=None, **kwargs):
        content = self.answers.pop(0) if self.answers else [{"text": "ok"}]
        yield {"messageStart": {"role": "assistant"}}
        stop = "end_turn"
        for block in content:
            if "toolUse" in block:
                stop = "tool_use"
                use = block["toolUse"]
                start = {"toolUse": {"name": use["name"], "toolUseId": use["toolUseId"]}}
                yield {"contentBlockStart": {"start": start}}
                import json

                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(use["input"])}}}}
            else:
                yield {"contentBlockStart": {"start": {}}}
                yield {"contentBlockDelta": {"delta": {"text": block["text"]}}}
            yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": stop}}
        await asyncio.sleep(0)


def answer(function):
    """The value of a call, or its error, as expected.json writes them."""
    try:
        return {"ok": encode_bytes_values(function())}
    except Exception as error:  # the package raises many kinds
        return {"error": {"type": type(error).__name__}}


def conversation_manager(record):
    name = (record.conversation_manager_state or {}).get("__name__")
    if name == "SlidingWindowConversationManager":
        return SlidingWindowConversationManager(window_size=4)
    if name == "SummarizingConversationManager":
        return SummarizingConversationManager()
    return NullConversationManager()


def restored(store, session_id, agent_id):
    """An agent's state after a restore, on a copy of the directory."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(store, copy, dirs_exist_ok=True)
        manager = FileSessionManager(session_id=session_id, storage_dir=copy)
        record = manager.read_agent(session_id, agent_id)
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


def agent_answers(manager, store, session_id, agent_id):
    def messages(**window):
        return manager.list_messages(session_id, agent_id, **window)

    return {
        "read_agent": answer(lambda: manager.read_agent(session_id, agent_id).to_dict()),
        "list_messages": answer(lambda: [m.to_dict() for m in messages()]),
        "list_messages_offset1_limit2_ids": answer(
            lambda: [m.message_id for m in messages(offset=1, limit=2)]
        ),
        "to_message": answer(lambda: [m.to_message() for m in messages()]),
        "restored": answer(lambda: restored(store, session_id, agent_id)),
    }


def answers(store):
    """Everything that the package says of a storage directory."""
    sessions = {}
    for path in sorted(Path(store).glob("session_*")):
        session_id = path.name.removeprefix("session_")
        manager = FileSessionManager(session_id=session_id, storage_dir=str(store))
        agents = {p.name.removeprefix("agent_") for p in path.glob("agents/agent_*")}
        multi = {p.name.removeprefix("multi_agent_") for p in path.glob("multi_agents/multi_agent_*")}
        sessions[session_id] = {
            "read_session": answer(lambda: manager.read_session(session_id).to_dict()),
            "open_manager": {"ok": "opened"},
            "agents": {a: agent_answers(manager, store, session_id, a) for a in sorted(agents)},
            "multi_agents": {
                m: answer(lambda: manager.read_multi_agent(session_id, m)) for m in sorted(multi)
            },
        }
    return sessions
