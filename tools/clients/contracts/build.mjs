// Compiles the contracts beside it into NAME.json, one file for each .sol file; with --check it
// compares instead, byte for byte, and fails when one differs. A file keeps the ABI and both
// bytecodes of the contract that is named like it.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";
import solc from "solc";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "osaka",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

const check = process.argv.includes("--check");
let differs = 0;
for (const name of readdirSync(HERE).filter((file) => file.endsWith(".sol")).map((file) => path.parse(file).name)) {
  const text = artifact(name);
  const file = path.join(HERE, `${name}.json`);
  if (!check) {
    writeFileSync(file, text);
  } else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
    console.error(`contracts/${name}.json is not what ${name}.sol compiles to: run node contracts/build.mjs`);
    differs += 1;
  }
}
process.exitCode = differs === 0 ? 0 : 1;

/** What is kept of a contract, as text with one key per line. */
function artifact(name) {
  const source = `${name}.sol`;
  const input = {
    language: "Solidity",
    sources: { [source]: { content: readFileSync(path.join(HERE, source), "utf8") } },
    settings: SETTINGS,
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (errors.length > 0) {
    throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join("\n"));
  }
  const { abi, evm } = output.contracts[source][name];
  const lines = [
    ["compiler", solc.version()],
    ["abi", abi],
    ["bytecode", `0x${evm.bytecode.object}`],
    ["deployedBytecode", `0x${evm.deployedBytecode.object}`],
  ].map(([key, value]) => ` ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}
