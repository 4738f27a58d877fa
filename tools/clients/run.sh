#!/usr/bin/env bash
# Checks that unmodified Ethereum clients accept the chain, and that RESULTS.md tells what they found.
#
#   run.sh [--write] [--only CLIENT] [--rpc URL --ws URL | --config FILE]
#
# Without an address it starts a development network of its own: $LODE devnet, where LODE is a program
# (by default it is built and run by cargo). --write renews RESULTS.md instead of comparing. --only runs
# one of ethers, viem, web3py, cast, and leaves RESULTS.md alone. Fails when a check fails, and prints
# the requests and answers of that check.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

options=()
config=
rpc=
ws=
while (($# > 0)); do
    case $1 in
        --write) options+=("$1") ;;
        --only) options+=("$1" "$2"); shift ;;
        --config) config=$2; shift ;;
        --rpc) rpc=$2; shift ;;
        --ws) ws=$2; shift ;;
        *) echo "clients: unknown argument $1" >&2; exit 2 ;;
    esac
    shift
done

clients=$(./install.sh)
node contracts/build.mjs --check

work=$(mktemp -d)
source ./devnet.sh
trap 'stop_devnet; rm -rf "$work"' EXIT
if [[ -n "$rpc" ]]; then
    config=$work/config.json
    node config.mjs "$rpc" "${ws:-${rpc/#http/ws}}" >"$config"
elif [[ -z "$config" ]]; then
    start_devnet
    config=$work/config.json
fi
PYTHON=$clients/venv/bin/python node run.mjs --config "$config" "${options[@]}"
