// Shows that the checks can fail: answers of a chain are falsified, one method or one field at a time,
// and each falsehood must be noticed by a check of the client. Run by hand, against any chain:
//
//   mutants.mjs --config FILE --client ethers|viem|web3py|cast
//
// Prints the falsehoods that no check noticed.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { proxy } from "./proxy.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const COMMANDS = {
  ethers: [process.execPath, "ethers/main.mjs"],
  viem: [process.execPath, "viem/main.mjs"],
  web3py: [process.env.PYTHON ?? "python3", "web3py/main.py"],
  cast: [process.execPath, "cast/main.mjs"],
};

const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const client = option("--client");
const given = JSON.parse(readFileSync(option("--config"), "utf8"));
const between = await proxy(given.chain);
const folder = mkdtempSync(path.join(tmpdir(), "lode-mutants-"));
const config = path.join(folder, "config.json");
writeFileSync(config, JSON.stringify({ ...given, chain: { ...given.chain, rpc: between.rpc, ws: between.ws } }));

// The answers as they are: what fails anyway, and which methods and fields there are to falsify.
const fields = new Map();
between.alter = (method, result) => {
  const found = fields.get(method) ?? new Set();
  if (result !== null && typeof result === "object" && !Array.isArray(result)) Object.keys(result).forEach((field) => found.add(field));
  fields.set(method, found);
  return result;
};
const usual = await failures(() => false);
console.log(`${client}: ${usual.size} checks fail on this chain as it is: ${[...usual].join(", ")}`);
let [tried, unseen] = [0, 0];
for (const [method, names] of [...fields].sort()) {
  for (const field of names.size > 0 ? [...names].sort() : [null]) {
    between.alter = (asked, result) => (asked === method ? falsified(result, field) : result);
    const noticed = await failures((id) => !usual.has(id));
    tried += 1;
    if ([...noticed].some((id) => !usual.has(id))) continue;
    unseen += 1;
    console.log(`not noticed: ${method}${field ? ` ${field}` : ""}`);
  }
}
console.log(`${client}: ${tried} falsehoods, ${unseen} not noticed`);
rmSync(folder, { recursive: true });
process.exit(0);

/** Runs the client until a check fails that `enough` knows, or to its end: the checks that failed. */
async function failures(enough) {
  const [program, ...args] = COMMANDS[client];
  const child = spawn(program, args, {
    cwd: HERE,
    env: { ...process.env, LODE_CLIENTS_CONFIG: config, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [failed, ended] = [new Set(), new Promise((resolve) => child.on("close", resolve))];
  let done = false;
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) continue;
    const result = JSON.parse(line);
    done ||= result.done === true;
    if (result.id === undefined || result.ok) continue;
    failed.add(result.id);
    if (enough(result.id)) child.kill("SIGKILL");
  }
  await ended;
  if (!done) failed.add("came to its end");
  return failed;
}

/** A falsehood of the same kind: a number that is one off, another text, a list that is shorter. */
function falsified(result, field) {
  if (field !== null) return result !== null && field in result ? { ...result, [field]: falsified(result[field], null) } : result;
  if (Array.isArray(result)) return result.length > 0 ? result.slice(0, -1) : [result];
  if (typeof result === "boolean") return !result;
  if (typeof result === "string" && result.length > 2) return result.slice(0, -1) + (result.endsWith("1") ? "2" : "1");
  if (result === null || result === "0x") return "0x1";
  return null;
}
