# Sourced: starts and stops a development network of its own, which writes $work/config.json.

# Longest wait for the network; building the program may come first.
DEVNET_S_MAX=600
devnet=

# A port that is free now; another program may take it before it is used, which then fails and says so.
free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# Starts it; arguments go to it as they are.
start_devnet() {
    local port program
    port=$(free_port)
    program=(${LODE:-cargo run --release --quiet --})
    # A session of its own, so that all it starts can be ended by one signal.
    setsid "${program[@]}" devnet --state "$work/devnet" --port "$port" --config-out "$work/config.json" "$@" \
        >"$work/devnet.log" 2>&1 &
    devnet=$!
    for ((i = 0; i < DEVNET_S_MAX * 10; i++)); do
        # Present and whole: it may be seen while it is written.
        [[ -s "$work/config.json" ]] && node -e 'JSON.parse(require("fs").readFileSync(process.argv[1]))' "$work/config.json" 2>/dev/null && return 0
        kill -0 "$devnet" 2>/dev/null || break
        sleep 0.1
    done
    echo 'clients: the development network did not start:' >&2
    tail -n 50 "$work/devnet.log" >&2
    return 1
}

stop_devnet() {
    [[ -n "$devnet" ]] || return 0
    kill -TERM -- "-$devnet" 2>/dev/null || true
    wait "$devnet" 2>/dev/null || true
    devnet=
}
