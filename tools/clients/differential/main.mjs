// Sends the same corpus to two chains, one transaction after another, and compares all that may not
// differ: receipts, traces of what each changed, the state in the end, and calls.
//
//   main.mjs --ours CONFIG --peer URL [--seed N] [--count N]
//
// Each transaction is alone in its block. Senders pay a fixed price for gas (legacy, or a tip that is
// the fee cap), so their balances do not hang on the base fee; what producers of blocks earn is left
// out, and no contract stores what belongs to a block.
import { readFileSync } from "node:fs";
import { Wallet, keccak256 } from "ethers";
import { GIVEN, corpus } from "./corpus.mjs";

/** Longest wait for a receipt (the first use of KZG reads its set-up, seconds on a busy machine), and how
 * often it is looked for. */
const [WAIT_MS_MAX, LOOK_MS] = [60_000, 3];
/** Differences that are printed. */
const SHOWN_MAX = 20;
/** Which of the chain's accounts gives the corpus its money. */
const GIVER = 5;

const option = (name, fallback) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : fallback);
const config = JSON.parse(readFileSync(option("--ours"), "utf8"));
const [seed, count] = [Number(option("--seed", 1)), Number(option("--count", 600))];

/** One of the two chains. */
class Chain {
  constructor(name, url) {
    Object.assign(this, { name, url, producers: new Set(), id: 0 });
  }

  /** Answers in order: `{ result }` or `{ error }`. */
  async batch(requests) {
    if (requests.length === 0) return [];
    const body = requests.map(([method, ...params]) => ({ jsonrpc: "2.0", id: (this.id += 1), method, params }));
    const response = await fetch(this.url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const answers = new Map((await response.json()).map((answer) => [answer.id, answer]));
    return body.map(({ id, method }) => {
      if (!answers.has(id)) throw new Error(`${this.name} does not answer ${method}`);
      return answers.get(id);
    });
  }

  async ask(...request) {
    const [{ result, error }] = await this.batch([request]);
    if (error) throw new Error(`${this.name}: ${request[0]}: ${JSON.stringify(error)}`);
    return result;
  }

  /** Sends, and waits for the receipt; the error when it is refused. */
  async send(raw) {
    const [{ result: hash, error }] = await this.batch([["eth_sendRawTransaction", raw]]);
    if (error) return { refused: error.message };
    const end = Date.now() + WAIT_MS_MAX;
    while (Date.now() < end) {
      const receipt = await this.ask("eth_getTransactionReceipt", hash);
      if (receipt) return { hash, receipt };
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new Error(`${this.name} has no receipt for ${hash} after ${WAIT_MS_MAX} ms`);
  }

  /** Gives each account its first money. */
  async fund(accounts) {
    // Not address zero, which contracts come upon, unlike what validators have.
    if (this.name === "peer") await this.ask("anvil_setCoinbase", new Wallet(keccak256("0x01")).address);
    const giver = new Wallet(config.accounts[GIVER].private_key);
    let nonce = Number(await this.ask("eth_getTransactionCount", giver.address, "pending"));
    for (const to of accounts) {
      if (Number(await this.ask("eth_getTransactionCount", to, "latest")) > 0) {
        throw new Error(`${this.name} has seen this corpus: choose another --seed, or a new chain`);
      }
      const fees = { type: 0, gasPrice: 20n * 10n ** 9n, gasLimit: 21_000n, chainId: config.chain.id };
      const { receipt, refused } = await this.send(await giver.signTransaction({ to, value: GIVEN, nonce, ...fees }));
      if (refused || receipt.status !== "0x1") throw new Error(`${this.name} does not fund ${to}: ${refused}`);
      nonce += 1;
    }
  }

  /** What a transaction changed, by account, without what the block's producer earned. */
  async changes({ hash, receipt }) {
    const block = await this.ask("eth_getBlockByHash", receipt.blockHash, false);
    if (block.transactions.length !== 1) throw new Error(`${this.name} put ${block.transactions.length} transactions in a block`);
    this.producers.add(block.miner.toLowerCase());
    const options = { tracer: "prestateTracer", tracerConfig: { diffMode: true } };
    const { pre, post } = await this.ask("debug_traceTransaction", hash, options);
    for (const side of [pre, post]) delete side[block.miner.toLowerCase()];
    return { pre, post };
  }
}

/** Counts what was compared, and keeps the first differences. */
class Comparison {
  constructor() {
    this.counts = new Map();
    this.differences = [];
  }

  equal(what, about, ours, peers) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    const [left, right] = [ours, peers].map((value) => JSON.stringify(sorted(value)));
    if (left !== right) this.differences.push(`${what} of ${about}\n${apart("", sorted(ours), sorted(peers)).join("\n")}`);
  }

  report() {
    for (const [what, number] of this.counts) console.log(`${String(number).padStart(7)} ${what} compared`);
    for (const difference of this.differences.slice(0, SHOWN_MAX)) console.log(`DIFFERS: ${difference.slice(0, 3000)}`);
    console.log(`differential: ${this.differences.length} differences`);
    return this.differences.length === 0;
  }
}

/** The same value with keys in order and text in lower case. */
function sorted(value) {
  if (typeof value === "string") return value.toLowerCase();
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key.toLowerCase(), sorted(part)]).sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Where two values differ, a line each. */
function apart(path, left, right) {
  const parts = (value) => value !== null && typeof value === "object";
  if (!parts(left) || !parts(right)) {
    return JSON.stringify(left) === JSON.stringify(right) ? [] : [`  ${path}: ours ${JSON.stringify(left)}, peer ${JSON.stringify(right)}`];
  }
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return keys.flatMap((key) => apart(`${path}.${key}`, left[key], right[key]));
}

/** What of a receipt may not differ. */
function comparable({ refused, receipt }) {
  if (refused !== undefined) return { refused: true };
  const { status, gasUsed, cumulativeGasUsed, contractAddress, effectiveGasPrice, logsBloom, from, to, type, transactionHash, logs } = receipt;
  const plain = logs.map(({ address, topics, data, logIndex, removed }) => ({ address, topics, data, logIndex, removed }));
  return { status, gasUsed, cumulativeGasUsed, contractAddress, effectiveGasPrice, logsBloom, from, to, type, transactionHash, logs: plain };
}

/** Addresses and slots that a transaction changed or was changed from. */
function touch(touched, { pre, post }) {
  for (const side of [pre, post]) {
    for (const [address, { storage = {} }] of Object.entries(side)) {
      const slots = touched.get(address) ?? new Set();
      for (const slot of Object.keys(storage)) slots.add(slot);
      touched.set(address, slots);
    }
  }
}

/** Everything about the touched accounts in the end. */
async function compareState(comparison, [ours, peer], touched) {
  for (const [address, slots] of touched) {
    if (ours.producers.has(address) || peer.producers.has(address)) continue;
    const requests = [["eth_getBalance", address, "latest"], ["eth_getTransactionCount", address, "latest"], ["eth_getCode", address, "latest"]];
    for (const slot of slots) requests.push(["eth_getStorageAt", address, slot, "latest"]);
    const answers = await Promise.all([ours, peer].map((chain) => chain.batch(requests)));
    for (const [i, [method]] of requests.entries()) {
      const [left, right] = answers.map((list) => list[i].result ?? { failed: list[i].error });
      comparison.equal(method.slice(7), `${address} ${requests[i][2]}`, left, right);
    }
  }
}

async function main() {
  const chains = [new Chain("ours", config.chain.rpc), new Chain("peer", option("--peer"))];
  for (const chain of chains) {
    const id = Number(await chain.ask("eth_chainId"));
    if (id !== Number(config.chain.id)) throw new Error(`${chain.name} is chain ${id}, not ${config.chain.id}`);
  }
  const { accounts, transactions, calls, known } = await corpus(seed, count, Number(config.chain.id));
  console.log(`seed ${seed}: ${transactions.length} transactions, keccak ${keccak256(`0x${transactions.map(({ raw }) => raw.slice(2)).join("")}`)}`);
  await Promise.all(chains.map((chain) => chain.fund(accounts)));

  const comparison = new Comparison();
  const [touched, kinds, statuses] = [new Map([...accounts, ...known].map((address) => [address.toLowerCase(), new Set()])), {}, {}];
  for (const [i, { kind, type, raw }] of transactions.entries()) {
    const outcomes = await Promise.all(chains.map((chain) => chain.send(raw)));
    const about = `transaction ${i} (${kind}, type ${type})`;
    comparison.equal("receipts", about, ...outcomes.map(comparable));
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    const status = outcomes[1].refused ? "refused" : outcomes[1].receipt.status === "0x1" ? "succeeded" : "failed";
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (outcomes.some(({ refused }) => refused)) {
      console.log(`${about} refused: ${outcomes.map(({ refused }) => refused ?? "accepted").join(" | ")}`);
      continue;
    }
    const changes = await Promise.all(chains.map((chain, side) => chain.changes(outcomes[side])));
    comparison.equal("changes", about, ...changes);
    for (const change of changes) touch(touched, change);
  }
  await compareState(comparison, chains, touched);
  for (const [i, call] of calls.entries()) {
    const answers = await Promise.all(chains.map((chain) => chain.batch([["eth_call", call, "latest"]])));
    // Words of errors differ between nodes; what a contract said may not.
    const outcome = ([{ result, error }]) => (error ? { failed: true, data: error.data ?? "0x" } : { result });
    comparison.equal("calls", `call ${i} ${JSON.stringify(call)}`, ...answers.map(outcome));
  }
  console.log(JSON.stringify({ kinds, statuses, accounts: touched.size, slots: [...touched.values()].reduce((sum, slots) => sum + slots.size, 0) }));
  return comparison.report();
}

process.exit((await main()) ? 0 : 1);
