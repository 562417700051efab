#!/bin/sh
# Installs what the tests need, and runs all of them. Without root: those that need none.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"
sh scripts/install-packages.sh
node=$(ls -d "$root"/node_modules/node-linux-*/bin/node | head -n 1)

if [ "$(id -u)" = 0 ]; then
  "$node" scripts/test-packages.ts
else
  echo "Without root: tests of the real engine, the kernel's redirects and az are left out."
fi
exec "$node" node_modules/vitest/vitest.mjs run "$@"
