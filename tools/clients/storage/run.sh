#!/usr/bin/env bash
# Checks that 0G's storage clients, unmodified, upload to and download from a network of ours, each what
# any other has uploaded; and that their key-value clients write streams, and read them from `lode kv`.
#
#   run.sh [--nodes N --slices S] [--sizes BYTES,…] [--rounds N] [--only smoke|pairs|kv]
#   run.sh --throughput MIB
#
# Starts $LODE devnet, where LODE is a program (by default it is built and run by cargo), with N storage
# nodes that keep S slices of the flow, and runs smoke.mjs N times, then pairs.mjs and kv.mjs, which starts
# key-value nodes itself. Needs node, npm, python3, and on the first run their registries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

nodes=1
slices=1
sizes=1,256,257,262144,262145,5000003,67108864
rounds=1
only=
throughput=
while (($# > 0)); do
    case $1 in
        --nodes) nodes=$2; shift ;;
        --slices) slices=$2; shift ;;
        --sizes) sizes=$2; shift ;;
        --rounds) rounds=$2; shift ;;
        --only) only=$2; shift ;;
        --throughput) throughput=$2; shift ;;
        *) echo "storage clients: unknown argument $1" >&2; exit 2 ;;
    esac
    shift
done

clients=$(../install.sh .)
: "${LODE:=}"
if [[ -z "$LODE" ]]; then
    cargo build --release --quiet
    LODE=$(cargo metadata --format-version 1 --no-deps | node -e 'let s="";process.stdin.on("data",d=>s+=d).on("end",()=>console.log(JSON.parse(s).target_directory))')/release/lode
fi
export LODE
work=$(mktemp -d)
source ../devnet.sh
trap 'stop_devnet; rm -rf "$work"' EXIT
start_devnet --nodes "$nodes" --slices "$slices"
if [[ -n "$throughput" ]]; then
    node throughput.mjs "$work/config.json" "$throughput"
    exit
fi
export PYTHON=$clients/venv/bin/python
if [[ -z "$only" || "$only" == smoke ]]; then
    for ((round = 1; round <= rounds; round++)); do
        echo "--- smoke, round $round of $rounds, $nodes nodes, $slices slices"
        node smoke.mjs "$work/config.json" "$slices"
    done
fi
if [[ -z "$only" || "$only" == pairs ]]; then
    echo "--- pairs, $nodes nodes, $slices slices"
    node pairs.mjs "$work/config.json" "$sizes"
fi
if [[ -z "$only" || "$only" == kv ]]; then
    echo "--- kv, $nodes nodes, $slices slices"
    node kv.mjs "$work/config.json"
fi
