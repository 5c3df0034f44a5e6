"""Compares what the real package says of our exports with what it said of the originals.

usage: check_export.py FIXTURES EXPORTS    FIXTURES/<name>/expected.json, EXPORTS/<name>/session_*
"""

import json
import sys
from pathlib import Path

from package import answers


def differences(expected, actual, path=""):
    """The places where two JSON values differ; fields that are random per restore are passed over."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in expected.keys() | actual.keys():
            here = f"{path}.{key}"
            if key not in expected or key not in actual:
                yield f"{here} is only {'here' if key in actual else 'expected'}"
            elif key == "tracking_id" and ".restored." in here:
                continue
            elif key == "error":
                if expected[key]["type"] != actual[key]["type"]:
                    yield f"{here}: {actual[key]['type']} instead of {expected[key]['type']}"
            else:
                yield from differences(expected[key], actual[key], here)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for i, (e, a) in enumerate(zip(expected, actual)):
            yield from differences(e, a, f"{path}[{i}]")
    elif repr(expected) != repr(actual):
        yield f"{path}: {str(actual)[:80]!r} instead of {str(expected)[:80]!r}"


def main():
    fixtures, exports = map(Path, sys.argv[1:3])
    passed = failed = 0
    for export in sorted(exports.iterdir()):
        expected = json.loads((fixtures / export.name / "expected.json").read_text())["sessions"]
        found = list(differences(json.loads(json.dumps(expected)), json.loads(json.dumps(answers(export)))))
        print(f"{export.name}: {'ok' if not found else f'{len(found)} differences'}")
        for difference in found[:5]:
            print(f"  {difference}")
        passed, failed = passed + (not found), failed + bool(found)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
