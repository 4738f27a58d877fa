// Random bytecode that keeps its stack in order, so that it runs for long and meets many operations.
// What depends on a block's number, time, producer or base fee is executed and dropped.

/** Name → [code, words taken, words left]. Offsets and lengths in memory are made small beforehand. */
const PLAIN = Object.entries({
  ADD: [0x01, 2], MUL: [0x02, 2], SUB: [0x03, 2], DIV: [0x04, 2], SDIV: [0x05, 2], MOD: [0x06, 2], SMOD: [0x07, 2],
  ADDMOD: [0x08, 3], MULMOD: [0x09, 3], EXP: [0x0a, 2], SIGNEXTEND: [0x0b, 2], LT: [0x10, 2], GT: [0x11, 2], SLT: [0x12, 2],
  SGT: [0x13, 2], EQ: [0x14, 2], ISZERO: [0x15, 1], AND: [0x16, 2], OR: [0x17, 2], XOR: [0x18, 2], NOT: [0x19, 1], BYTE: [0x1a, 2],
  SHL: [0x1b, 2], SHR: [0x1c, 2], SAR: [0x1d, 2], CLZ: [0x1e, 1], ADDRESS: [0x30, 0], BALANCE: [0x31, 1], ORIGIN: [0x32, 0],
  CALLER: [0x33, 0], CALLVALUE: [0x34, 0], CALLDATALOAD: [0x35, 1], CALLDATASIZE: [0x36, 0], CODESIZE: [0x38, 0],
  GASPRICE: [0x3a, 0], EXTCODESIZE: [0x3b, 1], RETURNDATASIZE: [0x3d, 0], EXTCODEHASH: [0x3f, 1], CHAINID: [0x46, 0],
  SELFBALANCE: [0x47, 0], BLOBHASH: [0x49, 1], SLOAD: [0x54, 1], PC: [0x58, 0], MSIZE: [0x59, 0], GAS: [0x5a, 0], TLOAD: [0x5c, 1],
}).map(([name, [code, taken]]) => ({ name, code, taken }));
/** BLOCKHASH, COINBASE, TIMESTAMP, NUMBER, PREVRANDAO, GASLIMIT, BASEFEE, BLOBBASEFEE. */
const OF_BLOCK = [0x41, 0x42, 0x43, 0x44, 0x45, 0x48, 0x4a];
const [POP, MLOAD, MSTORE, MSTORE8, SLOAD, SSTORE, JUMPI, JUMPDEST] = [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x57, 0x5b];
const [TLOAD, TSTORE, MCOPY] = [0x5c, 0x5d, 0x5e];
const [KECCAK, CALLDATACOPY, CODECOPY, EXTCODECOPY, RETURNDATACOPY] = [0x20, 0x37, 0x39, 0x3c, 0x3e];
const [CREATE, CALL, CALLCODE, RETURN, DELEGATECALL, CREATE2, STATICCALL, REVERT, SELFDESTRUCT] = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xfa, 0xfd, 0xff];

/** Bytes of memory that programs use. */
const MEMORY = 512;

/** A program of about `steps` steps that calls some of `targets`, as hex without 0x. */
export function program(random, steps, targets) {
  const code = [];
  let height = 0;
  const op = (byte, taken, left) => {
    code.push(byte);
    height += left - taken;
  };
  const push = (value) => {
    const hex = BigInt(value).toString(16);
    const bytes = value === 0n || value === 0 ? [] : Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
    code.push(0x5f + bytes.length, ...bytes);
    height += 1;
  };
  const small = () => push(random.below(MEMORY));
  const need = (count) => {
    while (height < count) push(random.number());
  };
  const plain = () => {
    const { code: byte, taken } = random.pick(PLAIN);
    need(taken);
    op(byte, taken, 1);
  };
  const choices = [
    () => push(random.number()),
    plain,
    plain,
    plain,
    plain,
    () => {
      // Slots that programs write.
      push(random.below(24));
      op(random.pick([SLOAD, TLOAD]), 1, 1);
    },
    () => {
      need(1);
      const at = 1 + random.below(Math.min(height, 16));
      if (height < 200) op(0x7f + at, 0, 1);
    },
    () => {
      need(2);
      op(0x8f + 1 + random.below(Math.min(height - 1, 16)), 0, 0);
    },
    () => {
      op(random.pick(OF_BLOCK), 0, 1);
      op(POP, 1, 0);
    },
    () => {
      need(1);
      small();
      op(random.pick([MSTORE, MSTORE8]), 2, 0);
    },
    () => {
      small();
      op(MLOAD, 1, 1);
    },
    () => {
      need(1);
      push(random.below(6));
      op(random.pick([SSTORE, TSTORE]), 2, 0);
    },
    () => {
      small();
      small();
      op(KECCAK, 2, 1);
    },
    () => {
      small();
      small();
      small();
      op(random.pick([CALLDATACOPY, CODECOPY, MCOPY]), 3, 0);
    },
    () => {
      small();
      small();
      small();
      push(random.pick(targets));
      op(EXTCODECOPY, 4, 0);
    },
    () => {
      for (let i = 0; i < 3; i += 1) push(0n);
      op(RETURNDATACOPY, 3, 0);
    },
    () => {
      const topics = random.below(5);
      need(topics);
      small();
      small();
      op(0xa0 + topics, topics + 2, 0);
    },
    () => {
      // Over some bytes, or into them: the jump is taken when the word is not zero.
      need(1);
      const skipped = random.below(8);
      code.push(0x61, 0, 0, JUMPI);
      const target = code.length + skipped;
      code[code.length - 3] = target >> 8;
      code[code.length - 2] = target & 0xff;
      height -= 1;
      for (let i = 0; i < skipped; i += 1) code.push(JUMPDEST);
      code.push(JUMPDEST);
    },
    () => {
      const byte = random.pick([CALL, CALLCODE, DELEGATECALL, STATICCALL]);
      const valued = byte === CALL || byte === CALLCODE;
      for (let i = 0; i < 4; i += 1) small();
      if (valued) push(random.below(3));
      push(random.pick(targets));
      push(20_000 + random.below(60_000));
      op(byte, valued ? 7 : 6, 1);
    },
    () => {
      const byte = random.pick([CREATE, CREATE2]);
      if (byte === CREATE2) push(random.below(3));
      push(random.below(40));
      small();
      push(random.below(2));
      op(byte, byte === CREATE2 ? 4 : 3, 1);
    },
  ];
  for (let step = 0; step < steps; step += 1) random.pick(choices)();
  // What is left on the stack is kept in storage, so that a difference anywhere shows.
  for (let slot = 8; height > 0 && slot < 24; slot += 1) {
    push(slot);
    op(SSTORE, 2, 0);
  }
  const end = random.below(10);
  if (end === 0) {
    push(random.pick(targets));
    code.push(SELFDESTRUCT);
  } else if (end < 8) {
    small();
    small();
    code.push(end === 1 ? REVERT : RETURN);
  }
  return Buffer.from(code).toString("hex");
}

/** Init code that leaves `runtime` as the code of the contract. */
export function deployer(runtime) {
  const len = (runtime.length / 2).toString(16).padStart(4, "0");
  return `0x61${len}80600a5f395ff3${runtime}`;
}
