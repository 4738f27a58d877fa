// Inputs for Ethereum's precompiled contracts: ones that are right, by the curves of @noble/curves,
// and ones that are nearly right.
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { bn254 } from "@noble/curves/bn254.js";
import { p256 } from "@noble/curves/nist.js";
import { SigningKey, concat, sha256, toBeHex, zeroPadValue } from "ethers";

const word = (value) => toBeHex(BigInt(value), 32);
/** A field element of BLS12-381 takes 64 bytes (EIP-2537). */
const field = (value) => toBeHex(BigInt(value), 64);
const scalar = (random) => BigInt(random.word()) % bls12_381.fields.Fr.ORDER;

/** A multiple of a generator; now and then the point at infinity. */
const multiple = (random, group) => (random.oneIn(8) ? null : group.Point.BASE.multiply(1n + BigInt(random.below(1 << 30))).toAffine());
const bnPoint = (point) => (point ? concat([word(point.x), word(point.y)]) : `0x${"00".repeat(64)}`);
const bnTwist = (point) => (point ? concat([point.x.c1, point.x.c0, point.y.c1, point.y.c0].map(word)) : `0x${"00".repeat(128)}`);
const g1 = (point) => (point ? concat([field(point.x), field(point.y)]) : `0x${"00".repeat(128)}`);
const g2 = (point) => (point ? concat([point.x.c0, point.x.c1, point.y.c0, point.y.c1].map(field)) : `0x${"00".repeat(256)}`);
const some = (random, make) => concat(Array.from({ length: 1 + random.below(3) }, make));

/** e(aP, Q) · e(−aP, Q) = 1. */
function pairsOfOne(random, curve, first, second) {
  const factor = 1n + BigInt(random.below(1 << 30));
  const [p, q] = [curve.G1.Point.BASE.multiply(factor), curve.G2.Point.BASE.toAffine()];
  return concat([first(p.toAffine()), second(q), first(p.negate().toAffine()), second(q)]);
}

const INPUTS = {
  0x01: (random) => {
    const [hash, key] = [random.word(), new SigningKey(random.word())];
    const { v, r, s } = key.sign(hash);
    return concat([hash, word(v), r, s]);
  },
  0x02: (random) => random.bytes(random.below(200)),
  0x03: (random) => random.bytes(random.below(200)),
  0x04: (random) => random.bytes(random.below(200)),
  0x05: (random) => {
    const lens = [random.below(64), random.below(40), random.below(64)];
    return concat([...lens.map(word), random.bytes(lens[0] + lens[1] + lens[2])]);
  },
  0x06: (random) => concat([bnPoint(multiple(random, bn254.G1)), bnPoint(multiple(random, bn254.G1))]),
  0x07: (random) => concat([bnPoint(multiple(random, bn254.G1)), random.word()]),
  0x08: (random) => {
    if (random.oneIn(2)) return pairsOfOne(random, bn254, bnPoint, bnTwist);
    return some(random, () => concat([bnPoint(multiple(random, bn254.G1)), bnTwist(multiple(random, bn254.G2))]));
  },
  0x09: (random) => concat([toBeHex(random.below(20), 4), random.bytes(208), toBeHex(random.below(random.oneIn(5) ? 3 : 2), 1)]),
  0x0a: (random) => {
    // The zero polynomial: its commitment and every proof are the point at infinity (EIP-4844).
    const infinity = `0xc0${"00".repeat(47)}`;
    const hash = `0x01${sha256(infinity).slice(4)}`;
    return concat([hash, word(BigInt(random.word()) >> 8n), word(random.oneIn(3) ? 1 : 0), infinity, infinity]);
  },
  0x0b: (random) => concat([g1(multiple(random, bls12_381.G1)), g1(multiple(random, bls12_381.G1))]),
  0x0c: (random) => some(random, () => concat([g1(multiple(random, bls12_381.G1)), word(scalar(random))])),
  0x0d: (random) => concat([g2(multiple(random, bls12_381.G2)), g2(multiple(random, bls12_381.G2))]),
  0x0e: (random) => some(random, () => concat([g2(multiple(random, bls12_381.G2)), word(scalar(random))])),
  0x0f: (random) => {
    if (random.oneIn(2)) return pairsOfOne(random, bls12_381, g1, g2);
    return some(random, () => concat([g1(multiple(random, bls12_381.G1)), g2(multiple(random, bls12_381.G2))]));
  },
  0x10: (random) => field(BigInt(random.word())),
  0x11: (random) => concat([field(BigInt(random.word())), field(BigInt(random.word()))]),
  0x100: (random) => {
    const secret = p256.utils.randomSecretKey(Buffer.from(random.bytes(48).slice(2), "hex"));
    const hash = random.word();
    const signature = Buffer.from(p256.sign(Buffer.from(hash.slice(2), "hex"), secret, { prehash: false })).toString("hex");
    const key = Buffer.from(p256.getPublicKey(secret, false)).subarray(1).toString("hex");
    return concat([hash, `0x${signature}`, `0x${key}`]);
  },
};

export const PRECOMPILES = Object.keys(INPUTS).map(Number);

/** An input for the contract at `address`: right, or with a bit turned, cut short or made longer. */
export function inputFor(random, address) {
  const input = INPUTS[address](random);
  const len = (input.length - 2) / 2;
  if (len === 0 || random.below(3) > 0) return input;
  const bytes = Buffer.from(input.slice(2), "hex");
  const kind = random.below(3);
  if (kind === 0) bytes[random.below(len)] ^= 1 << random.below(8);
  const changed = kind === 1 ? bytes.subarray(0, random.below(len)) : kind === 2 ? Buffer.concat([bytes, Buffer.alloc(1 + random.below(40), 1)]) : bytes;
  return `0x${changed.toString("hex")}`;
}

/** An address of a precompiled contract, in full. */
export const addressOf = (number) => zeroPadValue(toBeHex(number), 20);
