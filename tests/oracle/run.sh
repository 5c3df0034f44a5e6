#!/usr/bin/env bash
# The real strands-agents package judges our exports: imports every healthy fixture, exports it, compares the trees byte
# for byte, and asks the package what it reads. Then the same with sessions that it generates.
#   tests/oracle/run.sh [EXAMPLES]      default 300; $SESSIONLOG_BIN names a binary that is built already
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$("$here/venv.sh")
(cd "$root" && cargo build --quiet --release --example shared_directory)
example=${CARGO_TARGET_DIR:-$root/target}/release/examples/shared_directory
bin=${SESSIONLOG_BIN:-}
if [ -z "$bin" ]; then
  (cd "$root" && cargo build --quiet --release)
  bin=${CARGO_TARGET_DIR:-$root/target}/release/sessionlog
fi

mkdir "$work/fixtures" "$work/exports"
tar xzf "$root/tests/fixtures/standard-layout.tar.gz" -C "$work/fixtures"
for store in "$work"/fixtures/*/store; do
  name=$(basename "$(dirname "$store")")
  [ "$name" = 21_corrupt ] && continue
  "$bin" -q --store "$work/logs/$name" import "$store" > /dev/null
  "$bin" -q --store "$work/logs/$name" export --all --to "$work/exports/$name" > /dev/null
  diff -r "$store" "$work/exports/$name"
  diff <(cd "$store" && find . | sort) <(cd "$work/exports/$name" && find . | sort)
done
echo "every healthy fixture is exported as it was, byte for byte"
"$python" "$here/check_export.py" "$work/fixtures" "$work/exports" 2> "$work/warnings" || { cat "$work/warnings"; exit 1; }

# The judge must be able to say no.
sed -i 's/Hello/Hullo/' "$work"/exports/01_plain/session_plain/agents/agent_default/messages/message_1.json
if "$python" "$here/check_export.py" "$work/fixtures" "$work/exports" > "$work/doctored" 2>&1; then
  echo "a doctored export passed the check"; exit 1
fi
grep -q '01_plain: . differences' "$work/doctored"
echo "a doctored export is refused"

"$python" "$here/generate.py" "$bin" "$work/generated" "${1:-300}"
"$python" "$here/alternate.py" "$bin" "$work/alternate" "${2:-200}" 2> "$work/warnings" || { cat "$work/warnings"; exit 1; }
"$python" "$here/alternate.py" --directory "$example" "$work/directly" "${2:-200}" 2> "$work/warnings" || { cat "$work/warnings"; exit 1; }

# The first version that has sessions writes another layout in places; the newest is the one above.
oldest=$("$here/venv.sh" 1.0.0)
"$oldest" "$here/generate.py" "$bin" "$work/generated-old" "$((${1:-300} / 3))"
"$oldest" "$here/alternate.py" "$bin" "$work/alternate-old" "$((${2:-200} / 4))" 2> "$work/warnings" || { cat "$work/warnings"; exit 1; }
