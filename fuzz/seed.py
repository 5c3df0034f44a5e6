#!/usr/bin/env python3
"""Makes the corpora that the fuzz targets start from, out of the fixtures and golden files: fuzz/corpus/<target>/."""
import hashlib
import io
import json
import pathlib
import re
import struct
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "tests/fixtures"


def seed(target: str, data: bytes) -> None:
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha1(data).hexdigest()).write_bytes(data)


def selector(path: str, agents: list[str]) -> tuple[int, int] | None:
    """How the target import_tree names a file."""
    if path.endswith("/session.json"):
        return 0, 0
    if found := re.search(r"agents/(agent_[^/]*)/agent\.json$", path):
        agents.append(found[1])
        return 1, agents.index(found[1]) % 2
    if found := re.search(r"agents/(agent_[^/]*)/messages/message_(\d+)\.json$", path):
        return (2 + agents.index(found[1]) % 2, int(found[2])) if int(found[2]) < 256 else None
    return (4, 0) if path.endswith("/multi_agent.json") else None


def sessions() -> None:
    archive = tarfile.open(FIXTURES / "standard-layout.tar.gz")
    trees: dict[str, list[tuple[str, bytes]]] = {}
    for member in sorted(archive.getmembers(), key=lambda m: (m.name.count("/"), m.name)):
        found = re.match(r"(.*/session_[^/]*)/", member.name)
        if member.isfile() and found and member.size < 65536:
            data = archive.extractfile(member).read()
            trees.setdefault(found[1], []).append((member.name, data))
            seed("json_text", data)
    for files in trees.values():
        agents, tree = [], io.BytesIO()
        for path, data in files:
            if which := selector(path, agents):
                tree.write(struct.pack("<BBH", *which, len(data)) + data)
        if tree.tell() < 65536:
            seed("import_tree", tree.getvalue())


def conversations() -> None:
    for case in json.loads((FIXTURES / "repair-cases.json").read_text()):
        seed("repair_history", json.dumps(case["input"]).encode())


def logs() -> None:
    for session in sorted((FIXTURES / "golden/v1/sessions").iterdir()):
        directory = io.BytesIO()
        for segment in sorted(session.glob("*.seg")):
            data, base = segment.read_bytes(), int(segment.stem)
            directory.write(struct.pack("<BBH", 0, base, len(data)) + data)
            at = 128
            while at + 64 <= len(data) and data[at : at + 4] == b"\xf5\x45\x56\xc1":
                meta, payload = struct.unpack_from("<II", data, at + 8)
                end = at + 72 + (meta + payload + 7) // 8 * 8
                seed("decode_frame", data[at:end])
                at = end
        if session.name != "imported":
            seed("open_directory", directory.getvalue())
    for i in range(64):
        choices = hashlib.shake_128(bytes([i])).digest(600)
        seed("operations_with_crashes", choices)
        seed("damage_then_salvage", choices[:40])


sessions()
conversations()
logs()
