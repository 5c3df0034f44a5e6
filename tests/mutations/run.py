#!/usr/bin/env python3
"""The mutation check: takes away each sync and each check in turn; the suite must fail each time.

    tests/mutations/run.py                 all of them, and the table for docs/TESTING.md
    tests/mutations/run.py --check         only whether every text still occurs once
    tests/mutations/run.py 10-19 quarantine  those with these numbers, those with this word in their name

Works on a copy of the tracked files in $MUTATIONS_DIR (default: <tmp>/sessionlog-mutations), which is kept so that the
next run compiles less. Status 1 if a mutation survives, 2 if one cannot be made.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
COPY = Path(os.environ.get("MUTATIONS_DIR") or Path(tempfile.gettempdir()) / "sessionlog-mutations")
JOBS = os.environ.get("MUTATIONS_JOBS", "2")
# A mutation may make a test run forever, which catches it too.
TIMEOUT = 900


def copy_tree():
    """Brings the copy up to date; files that are the same keep their times, so that cargo compiles only what changed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, COPY / "tree" / name
        if not source.is_file():
            continue
        content = source.read_bytes()
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            shutil.copymode(source, target)


def all_tests():
    names = sorted(path.stem for path in (ROOT / "tests").glob("*.rs"))
    return ["lib", *names, *sorted(f"cli/{path.stem}" for path in (ROOT / "cli/tests").glob("*.rs"))]


def cargo_test(test, no_run):
    command = ["cargo", "test", "-q", f"-j{JOBS}"]
    if test == "lib":
        command += ["-p", "sessionlog", "--lib"]
    elif test.startswith("cli/"):
        command += ["-p", "sessionlog-cli", "--test", test[4:]]
    else:
        command += ["-p", "sessionlog", "--test", test]
    return command + (["--no-run"] if no_run else [])


def run(command):
    """The command's status and output; status None if it took too long."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(COPY / "target"), CARGO_TERM_COLOR="never", CARGO_INCREMENTAL="1",
               CARGO_PROFILE_DEV_DEBUG="0", CARGO_PROFILE_DEV_OPT_LEVEL="0", RUST_BACKTRACE="0")
    process = subprocess.Popen(command, cwd=COPY / "tree", env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""


def catch(tests):
    """The first test that fails, or None; a mutation that does not compile is an error of the list."""
    for test in tests:
        status, output = run(cargo_test(test, no_run=True))
        if status != 0:
            sys.exit(f"it does not compile:\n{output}")
        status, output = run(cargo_test(test, no_run=False))
        if status is None:
            return f"{test} (it never ends)"
        if status != 0:
            failed = re.findall(r"^(?:test|----) (\S+)(?: \.\.\. FAILED| stdout ----)", output, re.MULTILINE)
            name = failed[0].split("::")[-1] if failed else "it aborts"
            return f"`{test}`: {name}" if failed else f"`{test}` ({name})"
    return None


def problems():
    """What of the list does not fit the sources any more."""
    found = []
    for what, file, old, new, tests in MUTATIONS:
        count = (ROOT / file).read_text().count(old)
        if count != 1:
            found.append(f"{what}: its text occurs {count} times in {file}")
        found += [f"{what}: there is no test {test}" for test in tests if test not in all_tests()]
    return found


def wanted(number, what, filters):
    def fits(word):
        span = re.fullmatch(r"(\d+)-(\d+)", word)
        return int(span[1]) <= number <= int(span[2]) if span else word.lower() in what.lower()
    return not filters or any(fits(word) for word in filters)


def main():
    filters = [word for word in sys.argv[1:] if not word.startswith("--")]
    if stale := problems():
        print("\n".join(stale))
        sys.exit(2)
    if "--check" in sys.argv:
        return
    copy_tree()
    survivors = []
    print("| taken away | in | caught by |\n|---|---|---|", flush=True)
    for number, (what, file, old, new, tests) in enumerate(MUTATIONS):
        if not wanted(number, what, filters):
            continue
        path = COPY / "tree" / file
        original = path.read_text()
        path.write_text(original.replace(old, new))
        try:
            caught = catch([*tests, *(test for test in all_tests() if test not in tests)])
        finally:
            path.write_text(original)
        if caught is None:
            survivors.append(what)
        print(f"| {what} | `{file}` | {caught or '**nothing**'} |", flush=True)
    if survivors:
        print(f"\n{len(survivors)} survive: {', '.join(survivors)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
