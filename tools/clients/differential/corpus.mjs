// A corpus of signed transactions that a seed determines. It asks no chain: nonces, addresses of
// contracts and fees are known beforehand.
import { Interface, Wallet, concat, getBytes, getCreateAddress, keccak256, toBeHex, zeroPadValue } from "ethers";
import { readFileSync } from "node:fs";
import { PRECOMPILES, addressOf, inputFor } from "./precompiles.mjs";
import { deployer, program } from "./program.mjs";
import { Random } from "./random.mjs";

const SENDERS = 6;
/** Accounts that only sign delegations. */
const SIGNERS = 8;
/** What each sender and signer is given first. */
export const GIVEN = 100n * 10n ** 18n;
const PRICE = 20n * 10n ** 9n;
/** Contracts that exist from the start: four machines. */
const MACHINES = 4;

const artefact = JSON.parse(readFileSync(new URL("../contracts/Machine.json", import.meta.url), "utf8"));
const machine = new Interface(artefact.abi);
const encode = (name, ...args) => machine.encodeFunctionData(name, args);

/** `{ accounts, transactions, calls, known }`: who is to be funded, what is sent in order, what is called
 * in the end, and addresses that matter beside those that are touched. */
export async function corpus(seed, count, chainId) {
  const world = new World(seed, chainId);
  for (let i = 0; i < MACHINES; i += 1) await world.deploy(concat([artefact.bytecode]), 10n ** 18n, 4_000_000);
  while (world.transactions.length < count) await world.step();
  const accounts = [...world.senders, ...world.signers].map(({ wallet }) => wallet.address);
  const calls = Array.from({ length: Math.ceil(count / 4) }, () => world.call());
  return { accounts, transactions: world.transactions, calls, known: [...world.contracts, ...world.strangers] };
}

class World {
  constructor(seed, chainId) {
    this.random = new Random(`lode/differential/${seed}`);
    this.chainId = chainId;
    const account = (kind, i) => ({ wallet: new Wallet(keccak256(Buffer.from(`${kind}/${seed}/${i}`))), nonce: 0 });
    this.senders = Array.from({ length: SENDERS }, (_, i) => account("sender", i));
    this.signers = Array.from({ length: SIGNERS }, (_, i) => account("signer", i));
    this.strangers = Array.from({ length: 6 }, () => this.random.bytes(20));
    this.contracts = [];
    this.transactions = [];
  }

  /** One random transaction. */
  async step() {
    const { random } = this;
    const kinds = [
      [3, () => this.send("transfer", { to: this.anyone(), value: random.number() % 10n ** 17n, data: random.oneIn(6) ? random.bytes(random.below(80)) : "0x" })],
      [3, () => this.deploy(deployer(program(random, 10 + random.below(60), this.targets())), BigInt(random.below(3)))],
      [3, () => this.deploy(`0x${program(random, 10 + random.below(80), this.targets())}`, BigInt(random.below(3)))],
      [1, () => this.deploy(this.oddCode(), 0n)],
      [7, () => this.send("program", { to: random.pick(this.contracts), value: BigInt(random.below(3)), data: random.bytes(random.below(100)) })],
      [14, () => this.send("machine", { to: this.machine(), data: this.action(2), value: random.oneIn(5) ? BigInt(random.below(1000)) : 0n })],
      [7, () => this.send("precompile", { to: this.machine(), data: this.precompile() })],
      [2, () => this.delegation()],
    ];
    let left = random.below(kinds.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, act] of kinds) {
      if (left < weight) return act();
      left -= weight;
    }
    return undefined;
  }

  machine() {
    return this.contracts[this.random.below(MACHINES)];
  }

  targets() {
    return [...this.contracts.slice(0, MACHINES), this.random.pick(this.contracts), addressOf(this.random.pick(PRECOMPILES.slice(0, 9))), this.strangers[0]];
  }

  anyone() {
    const { random } = this;
    const kinds = [this.strangers, this.contracts, this.senders.map(({ wallet }) => wallet.address), this.signers.map(({ wallet }) => wallet.address), [random.bytes(20)], [addressOf(random.pick(PRECOMPILES))]];
    return random.pick(random.pick(kinds));
  }

  /** Init code that a chain must refuse to keep, or keep with care. */
  oddCode() {
    const { random } = this;
    // Nothing, an EOF prefix (EIP-3541), code at and above its limit (EIP-170), a delegation's prefix.
    return random.pick(["0x", deployer("ef00"), "0x6160005ff3", "0x6160015ff3", deployer(`ef0100${"11".repeat(20)}`), deployer("00"), "0xfe", "0x5f5ffd"]);
  }

  /** Data for a machine: one of its functions, which may call others, `depth` deep. */
  action(depth) {
    const { random } = this;
    const [a, b, c] = [random.number(), random.number(), random.number()];
    const small = (end) => random.below(end);
    const actions = [
      () => encode("compute", a, b, c),
      () => encode("rewrite", small(8), Array.from({ length: 1 + small(6) }, () => small(3))),
      () => encode("fill", small(40), small(12), random.oneIn(3) ? 0 : 1 + small(9)),
      () => encode("memoryAt", random.oneIn(8) ? a : small(20_000), small(5000)),
      () => encode("transients", small(4), random.oneIn(2)),
      () => encode("look", this.anyone()),
      () => encode("blockOf"),
      () => encode("logs", a, random.oneIn(10) ? b : small(300)),
      () => encode("fail", small(9), small(40), random.bytes(small(70))),
      () => encode("recurse", random.oneIn(4) ? 600 : small(30)),
      () => encode("read", small(40), small(12)),
      () => random.bytes(small(50)),
      () => encode("make", `0x${program(random, small(40), this.targets())}`, small(3), random.oneIn(2) ? toBeHex(0, 32) : random.word()),
      () => encode("makeAndCall", artefact.bytecode, toBeHex(small(4), 32), encode("destroy", this.anyone())),
      () => encode("makeAndCall", deployer(program(random, small(40), this.targets())), random.word(), random.bytes(small(40))),
      () => encode("destroy", this.anyone()),
    ];
    if (depth === 0 || random.oneIn(2)) return random.pick(actions)();
    return encode("callTo", small(4), random.oneIn(4) ? this.anyone() : this.machine(), small(3), random.oneIn(6) ? small(30_000) : 2_000_000, this.action(depth - 1));
  }

  precompile() {
    const { random } = this;
    const address = random.pick(PRECOMPILES);
    const gas = random.oneIn(8) ? random.below(100_000) : 1_500_000;
    return encode("callTo", random.below(4), addressOf(address), 0, gas, inputFor(random, address));
  }

  /** A transaction with delegations (EIP-7702): right ones, ones with a wrong nonce or chain, ones undone. */
  async delegation() {
    const { random } = this;
    const sender = random.pick(this.senders);
    const list = [];
    let taken = 0;
    for (let i = 0; i <= random.below(3); i += 1) {
      const own = random.oneIn(5);
      const signer = own ? sender : random.pick(this.signers);
      // A sender delegates to nothing that makes contracts: that would take nonces of its transactions.
      const address = own || random.oneIn(6) ? random.pick([`0x${"00".repeat(20)}`, addressOf(1)]) : this.machine();
      const wrong = random.below(8);
      // The transaction takes a nonce before its delegations do; one that is right takes its signer's.
      const nonce = signer.nonce + (own ? 1 + taken : 0) + (wrong === 0 ? 1 : 0);
      const chainId = wrong === 1 ? 99 : random.oneIn(3) ? 0 : this.chainId;
      list.push(await signer.wallet.authorize({ address, nonce, chainId }));
      if (wrong > 1 && own) taken += 1;
      if (wrong > 1 && !own) signer.nonce += 1;
    }
    const to = random.oneIn(2) ? random.pick(this.signers).wallet.address : this.machine();
    await this.send("delegation", { to, data: this.action(1), authorizationList: list }, sender);
    sender.nonce += taken;
  }

  async deploy(data, value, gasLimit) {
    const sender = this.random.pick(this.senders);
    this.contracts.push(getCreateAddress({ from: sender.wallet.address, nonce: sender.nonce }));
    return this.send("deploy", { to: null, data, value, gasLimit }, sender);
  }

  /** Signs a request, with one of the fees and lists a transaction may have. */
  async send(kind, request, sender = this.random.pick(this.senders)) {
    const { random } = this;
    const type = request.authorizationList ? 4 : random.pick([0, 1, 2, 2, 2]);
    const listed = type > 0 && random.oneIn(3);
    const accessList = listed ? Array.from({ length: 1 + random.below(3) }, () => ({ address: this.anyone(), storageKeys: Array.from({ length: random.below(4) }, () => zeroPadValue(toBeHex(random.below(10)), 32)) })) : [];
    // The fee cap is also the tip, so that what a sender pays does not hang on the base fee.
    const fees = type < 2 ? { gasPrice: PRICE } : { maxFeePerGas: PRICE, maxPriorityFeePerGas: PRICE };
    const least = leastGas({ ...request, accessList });
    const gasLimit = request.gasLimit ?? (random.oneIn(8) ? least + random.below(30_000) : least + 300_000 + random.below(3_000_000));
    const whole = { value: 0n, ...request, ...fees, type, gasLimit, nonce: sender.nonce, chainId: this.chainId };
    if (type > 0) whole.accessList = accessList;
    sender.nonce += 1;
    this.transactions.push({ kind, type, from: sender.wallet.address, raw: await sender.wallet.signTransaction(whole) });
  }

  /** A call that is answered from the state in the end. */
  call() {
    const { random } = this;
    const to = random.oneIn(3) ? random.pick(this.contracts) : this.machine();
    const data = to === this.contracts[0] || random.oneIn(2) ? this.action(2) : random.bytes(random.below(60));
    return { from: random.pick(this.senders).wallet.address, to, data, gas: toBeHex(3_000_000).replace(/^0x0+/, "0x") };
  }
}

/** Gas below which a transaction is refused (EIP-2028, 2930, 3860, 7623, 7702). */
function leastGas({ to, data = "0x", accessList = [], authorizationList = [] }) {
  const bytes = getBytes(data);
  const zeros = bytes.filter((byte) => byte === 0).length;
  const tokens = zeros + 4 * (bytes.length - zeros);
  const creation = to === null ? 32_000 + 2 * Math.ceil(bytes.length / 32) : 0;
  const lists = accessList.reduce((sum, { storageKeys }) => sum + 2400 + 1900 * storageKeys.length, 0);
  return 21_000 + Math.max(4 * tokens + creation + lists + 25_000 * authorizationList.length, 10 * tokens);
}
