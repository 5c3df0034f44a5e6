"""The real package writes sessions that hypothesis makes up; our export of our import is the same tree.

usage: generate.py BINARY DIRECTORY [EXAMPLES]
"""

import filecmp
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from package import MockModel
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager, SlidingWindowConversationManager
from strands.session.file_session_manager import FileSessionManager
from strands.types.session import SessionMessage

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
number = st.one_of(st.integers(), st.floats(), st.integers(min_value=2**63, max_value=2**200))
scalar = st.one_of(st.none(), st.booleans(), number, text)
value = st.recursive(
    scalar, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)), max_leaves=12
)
use_id = st.sampled_from(["a", "b", "c"])
block = st.one_of(
    st.fixed_dictionaries({"text": text}),
    st.fixed_dictionaries(
        {"toolUse": st.fixed_dictionaries({"toolUseId": use_id, "name": st.just("t"), "input": value})}
    ),
    st.fixed_dictionaries(
        {
            "toolResult": st.fixed_dictionaries(
                {"toolUseId": use_id, "status": st.just("success"), "content": st.lists(st.fixed_dictionaries({"json": value}), max_size=2)}
            )
        }
    ),
    st.fixed_dictionaries(
        {"image": st.fixed_dictionaries({"format": st.just("png"), "source": st.fixed_dictionaries({"bytes": st.binary(max_size=20)})})}
    ),
)
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.lists(block, max_size=4)},
    optional={"metadata": st.dictionaries(text, value, max_size=2)},
)
name = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12).filter(
    lambda n: n.strip(".") and len(n.encode()) < 60
)
agent = st.fixed_dictionaries(
    {
        "messages": st.lists(message, max_size=6),
        "redact": st.lists(st.tuples(st.integers(0, 5), message), max_size=2),
        "state": st.dictionaries(text, value.filter(lambda v: v == v), max_size=3),
        "window": st.booleans(),
        "prompt": st.one_of(st.none(), text.filter(bool)),
    }
)
session = st.fixed_dictionaries(
    {"agents": st.dictionaries(name, agent, max_size=3), "multi": st.dictionaries(name, st.dictionaries(text, value, max_size=4), max_size=2)}
)


class Orchestrator:
    """What the session manager asks of a multi-agent."""

    def __init__(self, ident, state):
        self.id = ident
        self.state = state

    def serialize_state(self):
        return self.state


def write(directory, session_id, spec):
    """Lets the package write one session."""
    manager = FileSessionManager(session_id=session_id, storage_dir=str(directory))
    for agent_id, made in spec["agents"].items():
        window = SlidingWindowConversationManager(window_size=2) if made["window"] else NullConversationManager()
        local = Agent(
            agent_id=agent_id, model=MockModel(), session_manager=manager, conversation_manager=window, callback_handler=None
        )
        for i, content in enumerate(made["messages"]):
            manager.create_message(session_id, agent_id, SessionMessage.from_message(content, i))
        for at, replacement in made["redact"]:
            record = manager.read_message(session_id, agent_id, at)
            if record is not None:
                record.redact_message = replacement
                manager.update_message(session_id, agent_id, record)
        if made["prompt"] and not made["messages"]:
            try:
                local(made["prompt"])
            except Exception:  # whatever the package stored by then is a session too
                pass
        for key, state in made["state"].items():
            try:
                local.state.set(key, state)
            except ValueError:
                continue
        manager.sync_agent(local)
    # Old versions of the package know no multi-agents.
    for ident, state in spec["multi"].items() if hasattr(manager, "create_multi_agent") else ():
        manager.create_multi_agent(session_id, Orchestrator(ident, state))


def same(left, right):
    """Whether two trees have the same names and bytes."""
    compared = filecmp.dircmp(left, right)
    if compared.left_only or compared.right_only or compared.funny_files:
        return False
    _, different, errors = filecmp.cmpfiles(left, right, compared.common_files, shallow=False)
    if different or errors:
        return False
    return all(same(os.path.join(left, d), os.path.join(right, d)) for d in compared.common_dirs)


def main():
    binary, work = sys.argv[1], Path(sys.argv[2])
    examples = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    source, count = work / "in", 0
    source.mkdir(parents=True)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(session)
    def make(spec):
        nonlocal count
        write(source, f"generated-{count}", spec)
        count += 1

    make()
    run = [binary, "-q", "--store", str(work / "store")]
    subprocess.run([*run, "import", str(source)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*run, "export", "--all", "--to", str(work / "out")], check=True, stdout=subprocess.DEVNULL)
    different = [p.name for p in sorted(source.iterdir()) if not same(p, work / "out" / p.name)]
    print(f"{count} generated sessions: {count - len(different)} passed, {len(different)} failed")
    for name in different[:5]:
        print(f"  {name} differs: diff -r {source / name} {work / 'out' / name}")
    sys.exit(1 if different or count < examples else 0)


if __name__ == "__main__":
    main()
