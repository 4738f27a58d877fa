#!/usr/bin/env bash
# Installs the pinned compiler and libraries, compiles the contracts and compares what comes out
# with what is committed, byte for byte, writes the vectors anew and compares those, and runs the
# contracts' tests. Stops at the first step that fails and says which.
#
# Needs node and npm, and once a registry of packages. Writes only below this folder's node_modules,
# out and cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

step=start
trap 'code=$?; if ((code != 0)); then echo "contracts: failed at: $step" >&2; fi' EXIT

step='lock file names no host'
if grep -nE '"resolved"|https?://[^"]*registry' package-lock.json; then
    echo 'install with: npm install --omit-lockfile-registry-resolved' >&2
    exit 1
fi
step='install'
npm ci --no-audit --no-fund --loglevel=error
step='artefacts are what the sources compile to'
node build.mjs --check
step='vectors are what their definitions give'
node vectors.mjs --check
step='tests'
node_modules/@foundry-rs/forge-linux-amd64/bin/forge test
step=done
echo 'contracts: all checks passed'
