#!/usr/bin/env bash
# Installs the pinned clients of a folder, by default this one, and prints the folder they are in: node_modules and venv. They lie
# outside the checkout, in $LODE_CI_CACHE/clients (by default ~/.cache/lode-ci/clients), under a name
# made of the lock files; without such a folder in ../../target/clients. The folder's node_modules
# becomes a link to them, because scripts look for packages above themselves.
#
# Needs node, npm, python3, and on the first run their registries.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$tools}"

if grep -nE '"resolved"|https?://[^"]*registry' package-lock.json >&2; then
    echo 'clients: the lock file names a host; install with npm below this folder, whose .npmrc leaves it out' >&2
    exit 1
fi
key=$({ cat package-lock.json requirements.txt; node --version; python3 --version; } | sha256sum | cut -c1-16)
cache=${LODE_CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/lode-ci}/clients
if ! mkdir -p "$cache" 2>/dev/null || [[ ! -w "$cache" ]]; then
    cache=$(cd "$tools/../.." && pwd)/target/clients
    mkdir -p "$cache"
fi
folder=$cache/$key
if [[ ! -e "$folder/done" ]]; then
    rm -rf "$folder"
    mkdir "$folder"
    cp package.json package-lock.json .npmrc "$folder"
    (cd "$folder" && npm ci --loglevel=error >&2) &
    npm=$!
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt >&2
    wait "$npm"
    touch "$folder/done"
fi
[[ -L node_modules ]] || rm -rf node_modules
ln -sfn "$folder/node_modules" node_modules
echo "$folder"
