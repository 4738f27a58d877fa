// RESULTS.md: what each client's checks found, and which methods each client asked for.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** Methods that checks ask for because no chain has them. */
const MADE_UP = new Set(["eth_nothing"]);

/**
 * Methods that a client asks for or not, as its timing has it: cast asks for an account's parts and for
 * the whole of it side by side, and drops the slower one. A table that is compared can't tell of them.
 */
const RACED = new Set(["eth_getAccountInfo"]);

/** The text. `features` are groups of named checks in order; `results` is what the clients found. */
export function table(features, results) {
  const versions = versionsOf();
  const head = (first) => [`| ${first} | ${results.map(({ name }) => `${name} ${versions[name]}`).join(" | ")} |`, `|---|${results.map(() => ":-:|").join("")}`];
  const row = (title, cells) => `| ${title} | ${cells.join(" | ")} |`;
  const lines = ["# What Ethereum's clients make of the chain", "", "Written by `tools/clients/run.sh --write`, and compared by `tools/clients/run.sh`.", "✓ passed, ✗ failed, – not checked with this client."];
  for (const [group, checks] of features) {
    lines.push("", `## ${group}`, "", ...head("what"));
    for (const [id, title] of checks) {
      lines.push(row(title, results.map((result) => (result.checks.has(id) ? mark(result.checks.get(id)) : "–"))));
    }
  }
  lines.push("", "## Methods", "", "✓ answered, ✗ not served, – not asked by this client in these checks.", "", ...head("method"));
  const methods = [...new Set(results.flatMap((result) => [...result.methods.keys()]))].filter((method) => !MADE_UP.has(method) && !RACED.has(method));
  for (const method of methods.sort()) {
    const cells = results.map(({ methods: asked }) => {
      const seen = asked.get(method);
      return seen ? mark(seen.answered > 0 && seen.unknown === 0) : "–";
    });
    lines.push(row(`\`${method}\``, cells));
  }
  return `${lines.join("\n")}\n`;
}

function mark(good) {
  return good ? "✓" : "✗";
}

function versionsOf() {
  const { dependencies } = JSON.parse(readFileSync(path.join(HERE, "package.json"), "utf8"));
  const [, web3py] = /^web3==(.*)$/m.exec(readFileSync(path.join(HERE, "requirements.txt"), "utf8"));
  return { ethers: dependencies.ethers, viem: dependencies.viem, web3py, cast: dependencies["@foundry-rs/cast-linux-amd64"] };
}
