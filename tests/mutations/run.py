#!/usr/bin/env python3
"""The mutation check: takes away each sync and each check in turn; the suite must fail each time.

    tests/mutations/run.py                     all of them, and the table for docs/TESTING.md
    tests/mutations/run.py --check             only whether every text still occurs once
    tests/mutations/run.py --quick             only the tests that are named with each mutation
    tests/mutations/run.py 10-19 quarantine    those with these numbers, those with this word in their name

All mutations are compiled into one copy of the tree, each behind a switch that the environment sets, so that every test
is compiled once. The copy is in $MUTATIONS_DIR (default: <tmp>/sessionlog-mutations) and is kept for the next run.
Status 1 if a mutation survives, 2 if one cannot be made or the suite fails without any.
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
# They are compiled with the feature.
S3_TESTS = {"sync_s3", "layout_in_bucket", "cli/sync_faults", "cli/sync_s3", "cli/layout_in_s3"}
# A mutation may make a test run forever, which catches it too.
TIMEOUT = 300
SWITCH = '''
/// Whether the environment asks for this mutation.
pub(crate) fn mutated(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    let chosen = || std::env::var("MUTATION").ok()?.parse().ok();
    *CHOSEN.get_or_init(chosen) == Some(number)
}
'''


def split(text):
    """What is before the marked expression, the expression, what is after it."""
    if "⟦" not in text:
        return "", text, ""
    before, rest = text.split("⟦")
    return (before, *rest.split("⟧"))


def mutate(sources):
    """All mutations in the sources, each behind its switch."""
    for number, (_, file, text, new, _) in enumerate(MUTATIONS):
        before, old, after = split(text)
        if new:
            switched = f"(if crate::mutated({number}) {{ {new} }} else {{ {old} }})"
        else:
            switched = f"if !crate::mutated({number}) {{ {old} }}"
        sources[file] = sources[file].replace(before + old + after, before + switched + after, 1)
    sources["src/lib.rs"] += SWITCH


def copy_tree():
    """Brings the copy up to date; files that are the same keep their times, so that cargo compiles only what changed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    names = [name for name in names if name and (ROOT / name).is_file()]
    sources = {name: (ROOT / name).read_text() for name in names if name.startswith("src/")}
    mutate(sources)
    for old in (COPY / "tree").rglob("*.rs"):
        if str(old.relative_to(COPY / "tree")) not in names:
            old.unlink()
    for name in names:
        content = sources[name].encode() if name in sources else (ROOT / name).read_bytes()
        target = COPY / "tree" / name
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            shutil.copymode(ROOT / name, target)


def all_tests():
    names = sorted([*(path.stem for path in (ROOT / "tests").glob("*.rs")), *(path.parent.name for path in (ROOT / "tests").glob("*/main.rs"))])
    return ["lib", *names, *sorted(f"cli/{path.stem}" for path in (ROOT / "cli/tests").glob("*.rs"))]


def cargo_test(test):
    command = ["cargo", "test", "-q", f"-j{JOBS}", *(["--all-features"] if test in S3_TESTS else []), "-p"]
    if test == "lib":
        return [*command, "sessionlog", "--lib"]
    if test.startswith("cli/"):
        return [*command, "sessionlog-cli", "--test", test[4:]]
    return [*command, "sessionlog", "--test", test]


def run(test, mutation=""):
    """The test's status and output; status None if it took too long."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(COPY / "target"), CARGO_TERM_COLOR="never", CARGO_INCREMENTAL="1",
               CARGO_PROFILE_DEV_DEBUG="0", RUSTFLAGS="-Awarnings", RUST_BACKTRACE="0", MUTATION=str(mutation))
    process = subprocess.Popen(cargo_test(test), cwd=COPY / "tree", env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=None if mutation == "" else TIMEOUT)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""


def catch(number, tests):
    """The first test that fails, or None."""
    for test in tests:
        check_sound(test)
        status, output = run(test, number)
        if status is None:
            return f"`{test}`, which never ends"
        if status != 0:
            failed = re.findall(r"^---- (\S+) stdout ----", output, re.MULTILINE)
            return f"`{test}`: {failed[0].split('::')[-1].replace('_', ' ')}" if failed else f"`{test}`, which aborts"
    return None


SOUND = set()


def check_sound(test):
    """A test that fails without a mutation catches nothing."""
    if test not in SOUND:
        status, output = run(test)
        if status != 0:
            print(f"{test} fails without a mutation:\n{output}")
            sys.exit(2)
        SOUND.add(test)


def problems():
    """What of the list does not fit the sources any more."""
    found = []
    for what, file, text, _, tests in MUTATIONS:
        count = (ROOT / file).read_text().count("".join(split(text)))
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
    for number, (what, file, _, _, tests) in enumerate(MUTATIONS):
        if not wanted(number, what, filters):
            continue
        others = [test for test in all_tests() if test not in tests and "--quick" not in sys.argv]
        caught = catch(number, [*tests, *others])
        if caught is None:
            survivors.append(what)
        print(f"| {what} | `{file}` | {caught or '**nothing**'} |", flush=True)
    if survivors:
        print(f"\n{len(survivors)} survive: {', '.join(survivors)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
