// Compiles the contracts into artifacts/, one file per contract; with --check it compares instead,
// byte for byte, and says which file differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { CONTRACTS, HERE, SETTINGS, compile, compiler } from "./compiler.mjs";

const CODE_LEN_MAX = 24576; // EIP-170
const check = process.argv.includes("--check");
const solc = compiler();
const compiled = compile(solc);
mkdirSync(path.join(HERE, "artifacts"), { recursive: true });
let differs = 0;
for (const name of CONTRACTS) {
  const text = artifact(name, compiled[`src/${name}.sol`][name]);
  const file = path.join(HERE, "artifacts", `${name}.json`);
  if (!check) {
    writeFileSync(file, text);
  } else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
    console.error(`artifacts/${name}.json is not what src/${name}.sol compiles to: run node build.mjs`);
    differs += 1;
  }
}
console.log(`${CONTRACTS.length} contracts, ${solc.version()}, ${check ? `${differs} differ` : "written"}`);
process.exitCode = differs === 0 ? 0 : 1;

/** What is kept of a contract, as text with one key per line. */
function artifact(name, output) {
  const runtime = output.evm.deployedBytecode.object;
  if (runtime.length / 2 > CODE_LEN_MAX) {
    throw new Error(`${name} has ${runtime.length / 2} bytes, ${CODE_LEN_MAX} at most`);
  }
  const layout = output.storageLayout.storage.map(({ label, slot, offset, type }) => ({
    label,
    slot: Number(slot),
    offset,
    type: output.storageLayout.types[type].label,
  }));
  const lines = [
    ["contract", name],
    ["compiler", solc.version()],
    ["settings", SETTINGS],
    ["storage", layout],
    ["abi", output.abi],
    ["bytecode", { object: `0x${output.evm.bytecode.object}` }],
    ["deployedBytecode", { object: `0x${runtime}` }],
  ].map(([key, value]) => ` ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}
