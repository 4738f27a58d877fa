// The one place that says how the contracts are compiled: which sources, which settings. Both the
// build and the tests take it from here.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import path from "node:path";

const require = createRequire(import.meta.url);

/** This folder. */
export const HERE = path.dirname(fileURLToPath(import.meta.url));

/** Contracts that are put into the genesis. */
const GENESIS = [
  "Flow",
  "Market",
  "Anchors",
  "Committee",
  "Beacon",
  "Rewards",
  "DaSigners",
  "DaCertificates",
];

/** Contracts for other chains, which check what is said on ours. */
const ELSEWHERE = ["DaVerifier", "DaInclusion", "DaProofValidator"];

/** All that artefacts are kept of. */
export const CONTRACTS = [...GENESIS, ...ELSEWHERE];

/** Fixed for ever: other settings give other bytes at the same addresses. */
export const SETTINGS = {
  evmVersion: "osaka",
  optimizer: { enabled: true, runs: 10000 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

/** The compiler; loading it takes a second. */
export function compiler() {
  return require("solc");
}

/** Every contract's sources compiled; throws with the compiler's own words. */
export function compile(solc) {
  const sources = {};
  for (const name of readdirSync(path.join(HERE, "src")).sort()) {
    if (name.endsWith(".sol")) {
      sources[`src/${name}`] = { content: readFileSync(path.join(HERE, "src", name), "utf8") };
    }
  }
  const outputs = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"];
  const input = {
    language: "Solidity",
    sources,
    settings: { ...SETTINGS, outputSelection: { "*": { "*": outputs } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  // Warnings count where we can change what they are about.
  const ours = (each) => each.severity === "error" || each.sourceLocation?.file.startsWith("src/");
  const complaints = (output.errors ?? []).filter(ours);
  if (complaints.length > 0) {
    throw new Error(complaints.map((each) => each.formattedMessage).join("\n"));
  }
  return output.contracts;
}

/** A library's source, for the compiler. */
export function readImport(name) {
  try {
    return { contents: readFileSync(path.join(HERE, "node_modules", name), "utf8") };
  } catch (error) {
    return { error: error.message };
  }
}
