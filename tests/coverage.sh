#!/bin/sh
# Measures the line coverage of what the log's promises hang on, prints the lines that no test runs, and fails if a
# directory has less than 95 %.
#
#     rustup component add llvm-tools; cargo install --locked cargo-llvm-cov
#     tests/coverage.sh                 runs the tests of the library, and measures
#     tests/coverage.sh FILE.lcov       only reads an earlier measurement
set -eu
cd "$(dirname "$0")/.."
measured=${1:-}
if [ -z "$measured" ]; then
    measured=$(mktemp)
    trap 'rm -f "$measured"' EXIT
    cargo llvm-cov --package sessionlog --features sim --lcov --output-path "$measured"
fi
python3 - "$measured" <<'PYTHON'
import pathlib
import sys

LEAST = 95
DIRECTORIES = ["src/format", "src/log", "src/state", "src/history"]


def tests_begin(path):
    """The line where a file's unit tests begin: they are not what is measured."""
    lines = path.read_text().splitlines()
    marks = [i for i, line in enumerate(lines, 1) if line == "#[cfg(test)]" and lines[i].startswith("mod tests {")]
    return marks[0] if marks else len(lines) + 1


def ranges(lines):
    """1, 2, 3, 7 as 1-3, 7."""
    spans = []
    for line in sorted(lines):
        if spans and spans[-1][1] == line - 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


counts, here = {}, None
for line in open(sys.argv[1]):
    key, _, value = line.strip().partition(":")
    if key == "SF":
        path = pathlib.Path(value)
        path = path.relative_to(pathlib.Path.cwd()) if path.is_absolute() else path
        here = counts.setdefault(path, {}) if path.name != "tests.rs" else {}
    elif key == "DA":
        number, count = value.split(",")[:2]
        here[int(number)] = max(here.get(int(number), 0), int(count))

failed = False
for directory in DIRECTORIES:
    run = total = 0
    for path in sorted(path for path in counts if path.is_relative_to(directory)):
        end = tests_begin(path)
        lines = {number: count for number, count in counts[path].items() if number < end}
        missed = [number for number, count in lines.items() if count == 0]
        run, total = run + len(lines) - len(missed), total + len(lines)
        if missed:
            print(f"{path}: {ranges(missed)}")
    share = 100 * run / max(total, 1)
    failed |= share < LEAST
    print(f"{directory}: {share:.1f} % of {total} lines\n")
sys.exit(failed)
PYTHON
