// What the checks of all JavaScript clients share: the chain's addresses and keys, named checks with
// a time limit, and comparisons. A check's result is a line of JSON on standard output; the caller
// (run.mjs) collects them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

/** Longest time for one check: a client that waits for what never comes fails by name. */
const CHECK_MS_MAX = 20_000;
/** Longest wait for one condition, so that it ends before its check does. */
const WAIT_MS_MAX = 10_000;
/** How often a condition is looked at. */
const LOOK_MS = 20;

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** The chain, as `lode devnet --config-out` describes it. */
export const config = JSON.parse(readFileSync(process.env.LODE_CLIENTS_CONFIG, "utf8"));
export const chainId = Number(config.chain.id);
export const probe = JSON.parse(readFileSync(path.join(HERE, "contracts/Probe.json"), "utf8"));
/** What each account has in the first block. */
export const GENESIS_BALANCE = 10_000n * 10n ** 18n;

/** Compares contents, whatever the prototypes are. */
export const equal = assert.deepStrictEqual;
export const ok = assert.ok;

/** Runs a check; whatever it throws is its failure. Later checks run in any case. */
export async function check(id, body) {
  let limit;
  const late = new Promise((_, reject) => {
    limit = setTimeout(() => reject(new Error(`not done after ${CHECK_MS_MAX} ms`)), CHECK_MS_MAX);
  });
  const result = { id, ok: true };
  try {
    await Promise.race([body(), late]);
  } catch (error) {
    result.ok = false;
    result.why = `${error?.message ?? error}`.slice(0, 1500);
  } finally {
    clearTimeout(limit);
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Says that all checks were run, and ends; a script that ends without these words has failed. */
export function done() {
  process.stdout.write(`${JSON.stringify({ done: true })}\n`, () => process.exit(0));
}

/** Waits until `look` answers with something, and returns that. */
export async function until(look, what) {
  const end = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What `read` answers while no block came between; `number` tells the latest block. */
export async function atOneBlock(number, read) {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const before = await number();
    const answer = await read(before);
    if ((await number()) === before) return answer;
  }
  throw new Error("blocks came faster than answers");
}

/** The error of a promise that must fail. */
export async function failure(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}` : part));
  throw new Error(`succeeded, with ${text}`);
}

/** All that an error says, with what it was caused by. */
export function words(error) {
  const parts = [];
  for (let part = error, depth = 0; part && depth < 8; part = part.cause, depth += 1) {
    parts.push(part.message, part.details, part.shortMessage, part.info && JSON.stringify(part.info), part.error && JSON.stringify(part.error));
  }
  return parts.filter(Boolean).join(" | ");
}

/** That a promise fails, and with which words. */
export async function failsWith(promise, pattern) {
  const said = words(await failure(promise));
  ok(pattern.test(said), `failed, but not with ${pattern}: ${said}`);
}

/** What geth says, by what is refused. Its words are what clients look for. */
export const REFUSALS = {
  nonceLow: /nonce too low/i,
  funds: /insufficient funds/i,
  known: /already known/,
  underpriced: /replacement transaction underpriced/,
  gasLow: /intrinsic gas too low/,
  gasHigh: /transaction gas limit too high/,
  wrongChain: /invalid (sender|chain id)/i,
  tipAboveFee: /max priority fee per gas higher than max fee per gas/,
};

/** A request as any client would send it, for what a client has no function for: `{ result, error }`. */
export async function raw(method, ...params) {
  const answer = await post({ jsonrpc: "2.0", id: 1, method, params });
  equal([answer.jsonrpc, answer.id], ["2.0", 1]);
  return answer;
}

/** Posts a body, and reads the answer as JSON. */
export async function post(body) {
  const response = await fetch(config.chain.rpc, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}
