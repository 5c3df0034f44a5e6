"""An independent reader of format version 1, written from docs/FORMAT.md: checks everything, prints every event.

usage: read_log.py STORE
"""

import json
import struct
import sys
from pathlib import Path
from zlib import crc32

KINDS = [
    None, "session_created", "agent_created", "message_added", "message_updated", "message_redacted",
    "agent_synced", "multi_agent_created", "multi_agent_synced", "history_repaired", "session_updated",
]


def need(holds, what):
    if not holds:
        sys.exit(f"read_log.py: {what}")


def segment_header(data):
    need(data[:8] == b"\x89SLG\r\n\x1a\n", "magic")
    need(crc32(data[:124]) == struct.unpack_from("<I", data, 124)[0], "segment header checksum")
    major, _, length, incompat, _, _, salt = struct.unpack_from("<HHIIIII", data, 8)
    need((major, length, incompat) == (1, 128, 0), "version")
    log_id = data[32:48]
    number, base, link, _, _, _ = struct.unpack_from("<QQIIQQ", data, 48)
    return salt, log_id, number, base, link


def varint(data, at):
    first = data[at]
    if first <= 250:
        return first, at + 1
    size, form = {251: (2, "<H"), 252: (4, "<I"), 253: (8, "<Q")}[first]
    return struct.unpack_from(form, data, at + 1)[0], at + 1 + size


def envelope(data):
    need(data[0] == 1, "envelope version")
    kind, flags = data[1], data[2]
    length, at = varint(data, 3)
    subject, at = data[at : at + length].decode(), at + length
    message_id, at = varint(data, at)
    length, at = varint(data, at)
    extra, at = data[at : at + length].decode(), at + length
    need(at == len(data), "every byte of an envelope is used")
    return kind, flags, subject, message_id, extra


def meta_entries(meta, payloads):
    at = offset = 0
    while at < len(meta):
        length, crc, envelope_length = struct.unpack_from("<IIH", meta, at)
        at += 10
        payload = payloads[offset : offset + length]
        given_up = length > 0 and payload == b"\xc1" * length
        need(given_up or crc32(payload) == crc, "payload checksum")
        yield meta[at : at + envelope_length], None if given_up else payload
        at, offset = at + envelope_length, offset + length


def read_session(directory):
    version, link, epoch, sealed, watermark = 1, None, 0, True, 0
    for path in sorted(directory.glob("*.seg")):
        data = path.read_bytes()
        salt, log_id, _, base, previous = segment_header(data)
        need(int(path.stem) == base == version, f"{path.name}: base version")
        need(sealed, f"{path.name}: the segment before is not sealed")
        link = crc32(log_id) if link is None else link
        need(previous == link, f"{path.name}: link")
        at, sealed, headers, events = 128, False, [], 0
        while at < len(data) and any(data[at:]):
            head = data[at : at + 64]
            need(head[:4] == b"\xf5EV\xc1", f"{path.name}+{at}: magic")
            kind, flags, count, meta_len, payload_len, first, durable, frame_salt, frame_epoch, offset, prev, time, meta_crc, crc = (
                struct.unpack_from("<BBHIIQQIIIIQII", head, 4)
            )
            need(crc32(head[:60]) == crc, f"{path.name}+{at}: header checksum")
            need(flags & 0xF0 == 0 and frame_salt == salt and offset == at, f"{path.name}+{at}: place")
            need(first == version and prev == link, f"{path.name}+{at}: order")
            if kind not in (2, 3):
                need(frame_epoch >= epoch, f"{path.name}+{at}: epoch")
                epoch = frame_epoch
            need(durable >= 0 and durable < version + max(count, 1), f"{path.name}+{at}: watermark")
            watermark = max(watermark, durable)
            body = meta_len + payload_len
            length = 64 + (body + 7) // 8 * 8 + 8
            meta = data[at + 64 : at + 64 + meta_len]
            payloads = data[at + 64 + meta_len : at + 64 + body]
            need(crc32(meta) == meta_crc, f"{path.name}+{at}: meta checksum")
            need(not any(data[at + 64 + body : at + length - 8]), f"{path.name}+{at}: padding")
            need(struct.unpack_from("<II", data, at + length - 8) == (length, crc ^ 0xFFFFFFFF), f"{path.name}+{at}: trailer")
            entries = list(meta_entries(meta, payloads))
            if kind == 1:
                need(len(entries) == count > 0, "event count")
                for raw, payload in entries:
                    number, _, subject, message_id, extra = envelope(raw)
                    events += 1
                    if payload is not None:
                        yield {
                            "version": version, "time_us": time, "kind": KINDS[number], "subject": subject,
                            "message_id": message_id, "extra": extra, "payload": payload.decode(),
                        }
                    version += 1
                link = crc32(struct.pack("<IQHQI", link, first, count, time, meta_crc))
            elif kind == 2:
                seal = json.loads(entries[0][1])
                need(seal["next_base"] == version, "SEAL: next base")
                need((seal["frames"], seal["events"]) == (len(headers), events), "SEAL: counts")
                need(seal["digest"] == crc32(b"".join(headers)), "SEAL: digest")
                sealed = True
            elif kind == 3:
                gap = json.loads(entries[0][1])
                need(gap["first"] == version, "GAP: first version")
                version, link = gap["last"] + 1, gap["link"]
            else:
                need(kind & 0x80, f"{path.name}+{at}: kind")
            headers.append(struct.pack("<I", crc))
            at += length
    need(not sealed, "the last segment is sealed: the next is missing")


def main():
    for directory in sorted((Path(sys.argv[1]) / "sessions").iterdir()):
        for event in read_session(directory):
            print(json.dumps(event))


if __name__ == "__main__":
    main()
