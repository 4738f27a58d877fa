// Runs the clients one after another, collects what their checks say, and writes or compares
// RESULTS.md. See run.sh for the arguments.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { proxy } from "./proxy.mjs";
import { table } from "./table.mjs";

/** Longest time for all checks of one client. */
const CLIENT_MS_MAX = 300_000;
/** Exchanges that are printed for a check that failed, and letters of each part. */
const [SHOWN_MAX, LETTERS_MAX] = [8, 600];

const HERE = path.dirname(fileURLToPath(import.meta.url));
const CLIENTS = [
  { name: "ethers", command: [process.execPath, "ethers/main.mjs"] },
  { name: "viem", command: [process.execPath, "viem/main.mjs"] },
  { name: "web3py", command: [process.env.PYTHON ?? "python3", "web3py/main.py"] },
  { name: "cast", command: [process.execPath, "cast/main.mjs"] },
];

const option = (name) => process.argv.at(process.argv.indexOf(name, 2) + 1 || process.argv.length);
const only = option("--only");
const features = JSON.parse(readFileSync(path.join(HERE, "features.json"), "utf8"));
const known = new Set(features.flatMap(([, rows]) => rows.map(([id]) => id)));
const given = JSON.parse(readFileSync(option("--config"), "utf8"));
const between = await proxy(given.chain);
const folder = mkdtempSync(path.join(tmpdir(), "lode-clients-"));
const config = path.join(folder, "config.json");
writeFileSync(config, JSON.stringify({ ...given, chain: { ...given.chain, rpc: between.rpc, ws: between.ws } }));

const results = [];
for (const client of CLIENTS.filter(({ name }) => !only || name === only)) results.push(await run(client));
rmSync(folder, { recursive: true });
let failed = results.reduce((sum, { checks, finished }) => sum + [...checks.values()].filter((passed) => !passed).length + (finished ? 0 : 1), 0);
if (!only) failed += compareTable(table(features, results)) ? 0 : 1;
console.log(failed === 0 ? "clients: all checks passed" : `clients: ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** Runs a client: which checks passed, which methods it asked for, and whether it came to its end. */
async function run({ name, command: [program, ...args] }) {
  const start = Date.now();
  between.notes.takeMethods();
  const child = spawn(program, args, {
    cwd: HERE,
    env: { ...process.env, LODE_CLIENTS_CONFIG: config, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: CLIENT_MS_MAX,
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const result = { name, checks: new Map(), methods: new Map(), finished: false };
  for await (const line of createInterface({ input: child.stdout })) note(result, line);
  const code = await ended;
  result.finished &&= code === 0;
  result.methods = between.notes.takeMethods();
  const passed = [...result.checks.values()].filter(Boolean).length;
  const seconds = Math.round((Date.now() - start) / 1000);
  console.log(`${name}: ${passed} of ${result.checks.size} checks passed in ${seconds} s${result.finished ? "" : `, but it broke off (${code})`}`);
  return result;
}

/** Takes one line of a client's output. Only lines of JSON are results; others are the client's own. */
function note(result, line) {
  if (!line.startsWith("{")) return console.log(line);
  const { id, ok, why, done } = JSON.parse(line);
  const recent = between.notes.takeRecent();
  if (done) return void (result.finished = true);
  if (!known.has(id) || result.checks.has(id)) throw new Error(`${result.name} reports ${id}, which is unknown or was reported before`);
  result.checks.set(id, ok);
  if (ok) return undefined;
  console.log(`\nFAILED ${result.name} ${id}: ${why}`);
  for (const [asked, answered] of recent.slice(-SHOWN_MAX)) {
    console.log(`  → ${asked.slice(0, LETTERS_MAX)}\n  ← ${answered.slice(0, LETTERS_MAX)}`);
  }
  return console.log();
}

/** Whether RESULTS.md is `text`, which --write makes it. */
function compareTable(text) {
  const file = path.join(HERE, "RESULTS.md");
  if (process.argv.includes("--write")) writeFileSync(file, text);
  const same = existsSync(file) && readFileSync(file, "utf8") === text;
  if (!same) console.log(`${text}\nclients: RESULTS.md tells something else; if the above is right, renew it with run.sh --write`);
  return same;
}
