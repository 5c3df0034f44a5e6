#!/usr/bin/env bash
# Runs fuzz targets from fresh seeds: fuzz/run.sh TARGET SECONDS [libFuzzer's options], or `all` for every target.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:?a target, or all} seconds=${2:-60}
shift; shift || true
python3 fuzz/seed.py
for target in fuzz/fuzz_targets/*.rs; do
  target=$(basename "$target" .rs)
  [[ $name == all || $name == "$target" ]] || continue
  # Decoders: no allocation above 65 MB, which takes the address sanitizer to see. The others have no unsafe code to look at: many
  # times as many inputs without it, and their whole memory is bounded.
  case $target in
    decode_frame | json_text | import_tree | repair_history) how=(-s address) limit=-malloc_limit_mb=65 ;;
    *) how=(-s none) limit=-rss_limit_mb=256 ;;
  esac
  log=$(mktemp)
  if cargo +nightly fuzz run "${how[@]}" "$target" -- "$limit" -max_total_time="$seconds" -verbosity=0 -print_final_stats=1 "$@" > "$log" 2>&1; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
  else
    echo "$target failed"; grep -m1 -A2 panicked "$log" || true; tail -20 "$log"; exit 1
  fi
  rm "$log"
done
