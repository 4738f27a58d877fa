// Numbers that a seed determines: the same seed, the same corpus. Not for secrets.
import { keccak256, toUtf8Bytes } from "ethers";

/** A stream of choices. */
export class Random {
  constructor(seed) {
    this.seed = seed;
    this.count = 0;
  }

  /** 32 bytes, as hex. */
  word() {
    this.count += 1;
    return keccak256(toUtf8Bytes(`${this.seed}/${this.count}`));
  }

  /** A number below `end`. */
  below(end) {
    return Number(BigInt(this.word()) % BigInt(end));
  }

  /** True once in `times`. */
  oneIn(times) {
    return this.below(times) === 0;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** `len` bytes, as hex. */
  bytes(len) {
    let hex = "";
    while (hex.length < len * 2) hex += this.word().slice(2);
    return `0x${hex.slice(0, len * 2)}`;
  }

  /** A word as programs meet them: small, near a power of two, near the top, or anything. */
  number() {
    const power = 1n << BigInt(this.below(256));
    const near = BigInt(this.below(3)) - 1n;
    const kinds = [0n, 1n, BigInt(this.below(1000)), power, power + near, (1n << 256n) - 1n - BigInt(this.below(3)), 1n << 255n, BigInt(this.word())];
    return BigInt.asUintN(256, this.pick(kinds));
  }
}
