// Ethereum's own rules, for comparison with what the chain says: a header's hash, the next base fee,
// and Merkle Patricia proofs (checked by @ethereumjs/mpt, which shares no code with the chain).
import { verifyMerkleProof } from "@ethereumjs/mpt";
import { decodeRlp, encodeRlp, getBytes, hexlify, keccak256, stripZerosLeft, toBeHex, zeroPadValue } from "ethers";
import { equal, ok } from "./harness.mjs";

const EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
const NO_CODE = keccak256("0x");

/** Fields of a header in order, up to Prague; N for numbers, which are written without leading zeros. */
const HEADER = [
  "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
  "N difficulty", "N number", "N gasLimit", "N gasUsed", "N timestamp", "extraData", "mixHash", "nonce",
  "N baseFeePerGas", "withdrawalsRoot", "N blobGasUsed", "N excessBlobGas", "parentBeaconBlockRoot",
  "requestsHash",
];

/** The hash of a header that is given as JSON-RPC gives it. */
export function headerHash(block) {
  const fields = HEADER.map((field) => {
    const [name, isNumber] = [field.replace("N ", ""), field.startsWith("N ")];
    ok(typeof block[name] === "string", `the header has no ${name}`);
    return isNumber ? stripZerosLeft(toBeHex(BigInt(block[name]))) : block[name];
  });
  return keccak256(encodeRlp(fields));
}

/** The base fee of the block after this one (EIP-1559). */
export function nextBaseFee({ gasUsed, gasLimit, baseFeePerGas: base }) {
  const target = gasLimit / 2n;
  if (gasUsed === target) return base;
  if (gasUsed < target) return base - (base * (target - gasUsed)) / target / 8n;
  const more = (base * (gasUsed - target)) / target / 8n;
  return base + (more > 1n ? more : 1n);
}

/** Checks an answer of eth_getProof, as JSON-RPC gives it, against a state root. */
export async function checkProof(proof, stateRoot) {
  const leaf = await proven(proof.address, proof.accountProof, stateRoot);
  if (leaf === null) {
    equal([BigInt(proof.nonce), BigInt(proof.balance), proof.storageHash, proof.codeHash], [0n, 0n, EMPTY_ROOT, NO_CODE]);
  } else {
    const [nonce, balance, storageHash, codeHash] = decodeRlp(leaf);
    equal([number(nonce), number(balance)], [BigInt(proof.nonce), BigInt(proof.balance)]);
    equal([storageHash, codeHash], [proof.storageHash, proof.codeHash]);
  }
  for (const slot of proof.storageProof) {
    const key = zeroPadValue(toBeHex(BigInt(slot.key)), 32);
    const value = proof.storageHash === EMPTY_ROOT ? null : await proven(key, slot.proof, proof.storageHash);
    equal(value === null ? 0n : number(decodeRlp(value)), BigInt(slot.value));
  }
  return leaf !== null;
}

/** The value that a proof shows for a key; null when it shows that there is none. */
async function proven(key, nodes, root) {
  const value = await verifyMerkleProof(getBytes(key), nodes.map((node) => getBytes(node)), {
    root: getBytes(root),
    useKeyHashing: true,
  });
  return value === null || value.length === 0 ? null : hexlify(value);
}

function number(bytes) {
  return bytes === "0x" ? 0n : BigInt(bytes);
}
