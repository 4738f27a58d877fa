#!/usr/bin/env bash
# Sends a random corpus of transactions to the chain and to anvil, and compares what came of it.
#
#   run.sh [--config FILE] [--seed N] [--count N]
#
# Without --config it starts a development network of its own, as ../run.sh does. Prints what was
# compared, and fails on any difference.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

options=()
config=
while (($# > 0)); do
    case $1 in
        --config) config=$2; shift ;;
        --seed | --count) options+=("$1" "$2"); shift ;;
        *) echo "differential: unknown argument $1" >&2; exit 2 ;;
    esac
    shift
done

./install.sh >/dev/null
node contracts/build.mjs --check

work=$(mktemp -d)
peer=
source ./devnet.sh
trap 'stop_devnet; [[ -z "$peer" ]] || kill "$peer" 2>/dev/null || true; rm -rf "$work"' EXIT
if [[ -z "$config" ]]; then
    start_devnet
    config=$work/config.json
fi
chain=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).chain.id' "$config")
port=$(free_port)
node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil --hardfork osaka --chain-id "$chain" --port "$port" \
    >"$work/anvil.log" 2>&1 &
peer=$!
for ((i = 0; i < 300; i++)); do
    ! grep -q 'Listening on' "$work/anvil.log" || break
    kill -0 "$peer" 2>/dev/null || { cat "$work/anvil.log" >&2; exit 1; }
    sleep 0.1
done
node differential/main.mjs --ours "$config" --peer "http://127.0.0.1:$port" "${options[@]}"
