#!/usr/bin/env node
// The compiler as the test runner wants to call it: `--version`, and standard JSON on stdin.
import { readFileSync } from "node:fs";
import { compiler, readImport } from "./compiler.mjs";

const solc = compiler();
if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8"), { import: readImport }));
}
