#!/usr/bin/env bash
# Makes the virtual environment with the real package, once, and prints its python.
#   tests/oracle/venv.sh [VERSION]      of strands-agents; default: the one in requirements.txt
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../target/oracle-venv${1:+-$1}
wanted=$(sed "s/^strands-agents==.*/strands-agents==${1:-&}/; s/==strands-agents==/==/" "$here/requirements.txt")
if [ ! -x "$venv/bin/python" ] || [ "$wanted" != "$(cat "$venv/requirements.txt")" ]; then
  rm -rf "$venv"
  if ! python3 -m venv "$venv" >&2; then
    apt-get update >&2 && apt-get install -y --no-install-recommends python3-venv >&2
    python3 -m venv "$venv" >&2
  fi
  echo "$wanted" > "$venv/wanted.txt"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$venv/wanted.txt" >&2
  mv "$venv/wanted.txt" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
