// Writes the vectors that the Rust and the Solidity side replay, from the definitions alone: trees of
// the batch lane, by recursion, and reward trees by OpenZeppelin's own library. With --check it
// compares with what is there.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { HERE } from "./compiler.mjs";

const require = createRequire(import.meta.url);
const { keccak256 } = createRequire(require.resolve("solc"))("js-sha3");

const check = process.argv.includes("--check");
keep(path.join(HERE, "../../proofs/vectors/anchors.json"), anchors());
keep(path.join(HERE, "vectors/rewards.json"), rewards());

function keep(file, value) {
  const text = `${JSON.stringify(value, null, 1)}\n`;
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${path.relative(HERE, file)} is not what vectors.mjs writes: run node vectors.mjs`);
    process.exitCode = 1;
  }
}

function anchors() {
  const trees = [1, 2, 3, 4, 5, 7, 8, 13, 100].map((count) => {
    const entries = Array.from({ length: count }, (_, place) => entry(place));
    const top = tree(entries);
    const places = [...new Set([0, 1, count >> 1, count - 2, count - 1])].filter((p) => p >= 0 && p < count);
    const proofs = places.map((place) => proof(entries, place));
    return { count, root: top.hash, sectors: top.sectors, proofCount: proofs.length, proofs };
  });
  return {
    what: "Trees over entries of the batch lane (AnchorTree.sol, anchor.rs), by the recursive definition",
    generator:
      "entry i: root keccak256(i as 4 bytes, big-endian), size 1 + i*i*7919 + i*300, " +
      "payer 20 bytes of 0x10 + i%16, expiry 1800000000 + i",
    leaf: "keccak256(0x00 || root 32 || size 8 || payer 20 || expiry 8), numbers big-endian; sectors padded as in the flow",
    inner: "keccak256(0x01 || left hash 32 || left sectors 8 || right hash 32 || right sectors 8)",
    shape: "RFC 6962: over n entries the left subtree has the largest power of two below n",
    treeCount: trees.length,
    trees,
  };
}

function entry(i) {
  return {
    root: hash(number(i, 4)),
    size: 1 + i * i * 7919 + i * 300,
    payer: `0x${(0x10 + (i % 16)).toString(16).repeat(20)}`,
    expiry: 1800000000 + i,
  };
}

function leaf({ root, size, payer, expiry }) {
  const bytes = [[0], bytesOf(root), number(size, 8), bytesOf(payer), number(expiry, 8)].flat();
  return { hash: hash(bytes), sectors: paddedSectors(size) };
}

function join(left, right) {
  const bytes = [[1], bytesOf(left.hash), number(left.sectors, 8), bytesOf(right.hash), number(right.sectors, 8)];
  return { hash: hash(bytes.flat()), sectors: left.sectors + right.sectors };
}

function tree(entries) {
  if (entries.length === 1) return leaf(entries[0]);
  const left = leftCount(entries.length);
  return join(tree(entries.slice(0, left)), tree(entries.slice(left)));
}

function siblings(entries, place) {
  if (entries.length === 1) return [];
  const left = leftCount(entries.length);
  return place < left
    ? [...siblings(entries.slice(0, left), place), tree(entries.slice(left))]
    : [...siblings(entries.slice(left), place - left), tree(entries.slice(0, left))];
}

function proof(entries, place) {
  const { hash: leafHash, sectors } = leaf(entries[place]);
  const way = siblings(entries, place);
  return { place, ...entries[place], leaf: leafHash, sectors, siblingCount: way.length, siblings: way };
}

function leftCount(count) {
  let left = 1;
  while (left * 2 < count) left *= 2;
  return left;
}

function paddedSectors(size) {
  const sectors = Math.ceil(size / 256);
  let power = 1;
  while (power < sectors) power *= 2;
  const unit = power >= 16 ? power / 16 : 1;
  return Math.ceil(sectors / unit) * unit;
}

function number(value, length) {
  let rest = BigInt(value);
  const bytes = [];
  for (; bytes.length < length; rest >>= 8n) bytes.unshift(Number(rest & 255n));
  return bytes;
}

function bytesOf(hex) {
  return [...Buffer.from(hex.slice(2), "hex")];
}

function hash(bytes) {
  return `0x${keccak256(bytes)}`;
}

function rewards() {
  const trees = [1, 2, 3, 6, 11].map((count) => {
    const values = Array.from({ length: count }, (_, i) => [
      `0x${hash(number(i, 4)).slice(26)}`,
      (10n ** 17n * BigInt(i + 1)).toString(),
    ]);
    const built = StandardMerkleTree.of(values, ["address", "uint256"]);
    const claims = values.map(([account, earned], i) => {
      const proof = built.getProof(i);
      return { account, earned, proofCount: proof.length, proof };
    });
    return { root: built.root, claimCount: count, claims };
  });
  return {
    what: "Reward trees (Rewards.sol) by OpenZeppelin's StandardMerkleTree over (address, uint256)",
    treeCount: trees.length,
    trees,
  };
}
