#!/bin/sh
# Installs the npm packages of this checkout when they are missing or older than package-lock.json: the pinned Node
# among them, and the native part of ssh2 built for it. Says nothing when there is nothing to do.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"

say() { printf '%s\n' "$*" >&2; }
stamp=node_modules/.poolhouse-installed
wanted=$(cksum < package-lock.json)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
  say "Node 20 or later and npm are needed to begin. Install them: apt-get install nodejs npm"
  exit 1
fi

lock=.poolhouse-install.lock
until mkdir "$lock" 2>/dev/null; do
  holder=$(cat "$lock/pid" 2>/dev/null || echo 0)
  if [ "$holder" != 0 ] && ! kill -0 "$holder" 2>/dev/null; then rm -rf "$lock"; continue; fi
  sleep 0.5
done
echo $$ > "$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

say "  → npm packages (once; a minute or so)"
log=$(mktemp)
if ! npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  rm -f "$log"
  say "The npm packages could not be installed: the lines above tell why."
  exit 1
fi
pinned=$(ls -d "$root"/node_modules/node-linux-* 2>/dev/null | head -n 1)
if [ -z "$pinned" ]; then
  say "There is no Node 24 package for this machine ($(uname -sm))."
  exit 1
fi

if ! command -v make >/dev/null 2>&1 || ! command -v g++ >/dev/null 2>&1 || ! command -v python3 >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "  → a compiler, for the native part of ssh2"
    apt-get update >"$log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends build-essential python3 >>"$log" 2>&1 || tail -n 5 "$log" >&2
  fi
fi
# ssh2 works without its native part, only slower: a failure is told, and is no reason to stop.
PATH="$pinned/bin:$PATH"
export PATH
if ! npm rebuild ssh2 cpu-features --nodedir="$pinned" >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  say "The native part of ssh2 could not be built: connections will be slower. Needed: apt-get install build-essential python3"
fi
rm -f "$log"
printf '%s' "$wanted" > "$stamp"
say "  ✓ npm packages"
