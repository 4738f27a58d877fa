// cast 1 against the chain: the program as a user runs it, by its arguments and what it prints.
import { execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Interface, Wallet, ZeroAddress, getCreateAddress, id, keccak256, toBeHex } from "ethers";
import { checkProof, nextBaseFee } from "../ethereum.mjs";
import { GENESIS_BALANCE, REFUSALS, chainId, check, config, done, equal, ok, probe, until } from "../harness.mjs";

/** Which of the chain's accounts this client uses. */
const ACCOUNT = 4;

const PROGRAM = fileURLToPath(import.meta.resolve("@foundry-rs/cast-linux-amd64/bin/cast"));
const key = config.accounts[ACCOUNT].private_key;
const me = new Wallet(key).address;
const signed = ["--private-key", key];
const one = new Interface(probe.abi);
let address, deployed, set;

/** What cast prints. Blanks of a text part its arguments; an array stands for arguments as they are. */
async function cast(...parts) {
  const args = parts.flatMap((part) => (Array.isArray(part) ? part : part.split(" ")));
  const { stdout } = await promisify(execFile)(PROGRAM, args, { env: { ...process.env, ETH_RPC_URL: config.chain.rpc }, maxBuffer: 64 << 20 });
  return stdout.trim();
}

const json = async (...parts) => JSON.parse(await cast(...parts, "--json"));
const send = async (...parts) => json("send", signed, "--poll-interval 1", ...parts);
/** What cast complains of. */
async function refused(...parts) {
  try {
    return `succeeded: ${await cast(...parts)}`;
  } catch (error) {
    return error.stderr ?? String(error);
  }
}
const same = (left, right) => equal(left.toLowerCase(), right.toLowerCase());
const matches = (text, pattern) => ok(pattern.test(text), `not ${pattern}: ${text}`);

await check("deploy", async () => {
  deployed = await send("--value 1ether --create", [probe.bytecode, "constructor(uint256)", "5"]);
  address = deployed.contractAddress;
  equal([deployed.status, deployed.to, await cast("balance", address)], ["0x1", null, `${10n ** 18n}`]);
});
await chainChecks();
await accountChecks();
await contractChecks();
await revertChecks();
await eventChecks();
await transactionChecks();
await poolChecks();
done();

async function chainChecks() {
  await check("chain-id", async () => {
    equal([await cast("chain-id"), await cast("rpc net_version")], [String(chainId), `"${chainId}"`]);
  });
  await check("client-version", async () => matches(await cast("client"), /^\w+\/v?\d+\.\d+/));
  await check("syncing", async () => equal(await cast("rpc eth_syncing"), "false"));
  await check("block-number", async () => {
    const before = Number(await cast("block-number"));
    const { blockNumber } = await send(me);
    ok(before < Number(blockNumber) && Number(blockNumber) <= Number(await cast("block-number")));
  });
  await check("block", async () => {
    const block = await json("block", deployed.blockHash);
    equal(await json("block", `${Number(deployed.blockNumber)}`), block);
    equal([block.hash, block.transactions[Number(deployed.transactionIndex)]], [deployed.blockHash, deployed.transactionHash]);
    equal(await cast("block", `${Number(block.number) - 1}`, "--field hash"), block.parentHash);
  });
  await check("block-hash", async () => {
    equal(keccak256(await cast("block --raw", deployed.blockHash)), deployed.blockHash);
  });
  await check("block-tags", async () => {
    const numbers = [];
    for (const tag of ["finalized", "safe", "latest"]) numbers.push(Number(await cast("block", tag, "--field number")));
    equal(numbers, [...numbers].sort((left, right) => left - right));
    ok(numbers[2] >= Number(deployed.blockNumber));
    equal(await cast("block earliest --field number"), "0");
    ok(Number(await cast("block pending --field number")) > numbers[2]);
  });
  await check("block-transactions", async () => {
    const tx = await json("tx", deployed.transactionHash);
    same(tx.from, me);
    equal([tx.hash, tx.to, BigInt(tx.value), tx.blockHash], [deployed.transactionHash, null, 10n ** 18n, deployed.blockHash]);
    const { transactions } = await json("block", deployed.blockHash, "--full");
    equal(transactions[Number(deployed.transactionIndex)].hash, tx.hash);
  });
  await check("block-receipts", async () => {
    const receipts = JSON.parse(await cast("rpc eth_getBlockReceipts", deployed.blockHash));
    equal(receipts[Number(deployed.transactionIndex)].transactionHash, deployed.transactionHash);
    equal((await json("receipt", deployed.transactionHash)).gasUsed, deployed.gasUsed);
  });
  await check("unknown", async () => {
    matches(await refused("tx", id("nothing")), /tx not found/);
    matches(await refused("block 1000000000"), /block .*not found/i);
    equal(await cast("rpc eth_getTransactionReceipt", id("nothing")), "null");
  });
  await check("method-unknown", async () => matches(await refused("rpc eth_nothing"), /error code -32601/));
  await check("params-bad", async () => matches(await refused("rpc eth_getBalance 0x12 latest"), /error code -32602/));
  await check("no-names", async () => matches(await refused("balance lode.eth"), /ENS|resolve|resolver/i));
}

async function accountChecks() {
  await check("balance", async () => {
    const fresh = Wallet.createRandom().address;
    const { blockNumber } = await send(fresh, "--value 12345");
    const at = (number) => cast("balance", fresh, "-B", `${number}`);
    equal([await at(Number(blockNumber)), await at(Number(blockNumber) - 1)], ["12345", "0"]);
    equal([await cast("balance", me, "-B earliest"), await cast("balance --ether", fresh)], [`${GENESIS_BALANCE}`, "0.000000000000012345"]);
  });
  await check("nonce", async () => {
    const before = Number(await cast("nonce", me));
    await send(me, "--nonce", `${before}`);
    equal([await cast("nonce", me), await cast("nonce", me, "-B earliest")], [`${before + 1}`, "0"]);
  });
  await check("code", async () => {
    equal([await cast("code", address), await cast("code", me)], [probe.deployedBytecode, "0x"]);
    equal(await cast("codehash", address), keccak256(probe.deployedBytecode));
    const { nonce } = await json("tx", deployed.transactionHash);
    same(getCreateAddress({ from: me, nonce }), address);
  });
  await check("storage", async () => {
    equal(await cast("storage", address, "0 --block", `${Number(deployed.blockNumber)}`), toBeHex(5, 32));
    equal(await cast("storage", address, "77"), toBeHex(0, 32));
  });
  const prove = async (owner, ...slots) => {
    const number = await cast("block-number");
    const proof = await json("proof", owner, ...slots, "-B", number);
    return { proof, present: await checkProof(proof, await cast("block", number, "--field stateRoot")) };
  };
  await check("proof-account", async () => {
    const { proof, present } = await prove(address);
    equal([present, proof.codeHash], [true, keccak256(probe.deployedBytecode)]);
    equal((await prove(me)).present, true);
  });
  await check("proof-storage", async () => {
    await send(address, ["put(uint256,uint256)", "1", "1001"]);
    const slot = keccak256(toBeHex(1, 32) + toBeHex(1, 32).slice(2));
    const { proof } = await prove(address, slot, toBeHex(9, 32));
    equal(proof.storageProof.map(({ value }) => Number(value)), [1001, 0]);
  });
  await check("proof-absent", async () => equal((await prove(Wallet.createRandom().address)).present, false));
}

async function contractChecks() {
  await check("call", async () => {
    const number = await cast("block-number");
    const block = await json("block", number);
    const call = ["call", address, "context()(address,uint256,uint256,uint256,uint256)", "--from", me, "--block", number, "--json"];
    equal(JSON.parse(await cast(call)), [me, chainId, Number(number), Number(block.timestamp), Number(block.gasLimit)]);
    const paid = await cast("call", address, "pay()(uint256) --value 7 --from", me);
    equal(BigInt(paid.split(" ")[0]), BigInt(await cast("balance", address)) + 7n);
  });
  await check("send", async () => {
    set = await send(address, ["set(uint256,string)", "6", "six"]);
    equal([set.status, set.logs.length], ["0x1", 1]);
    equal([...one.parseLog(set.logs[0]).args], [me, 6n, "six"]);
    equal(await cast("call", address, "count()(uint256)"), "6");
  });
  await check("call-before", async () => {
    equal(await cast("call", address, "count()(uint256) --block", `${Number(set.blockNumber) - 1}`), "5");
  });
  await check("call-overrides", async () => {
    const slot = `${address}:${toBeHex(0, 32)}:${toBeHex(99, 32)}`;
    equal(await cast("call", address, "count()(uint256) --override-state-diff", slot), "99");
  });
  await check("send-failed", async () => {
    const receipt = await send(address, "fail(string) lost --gas-limit 100000");
    equal([receipt.status, receipt.logs], ["0x0", []]);
    ok(BigInt(receipt.gasUsed) > 21_000n && BigInt(receipt.gasUsed) < 100_000n);
  });
  await check("estimate", async () => {
    equal(await cast("estimate", me, "--value 1 --from", me), "21000");
    const gas = await cast("estimate", address, "many(uint256,uint256) 1000 50 --from", me);
    const receipt = await send(address, "many(uint256,uint256) 1000 50 --gas-limit", gas);
    equal([receipt.status, receipt.logs.length], ["0x1", 50]);
  });
  await check("access-list", async () => {
    const { accessList } = await json("access-list", address, "set(uint256,string) 6 six --from", me);
    equal(accessList, [{ address: address.toLowerCase(), storageKeys: [toBeHex(0, 32)] }]);
  });
  await check("trace", async () => {
    const text = await cast("run", set.transactionHash);
    matches(text, /Transaction successfully executed/);
    matches(text, new RegExp(`Gas used: ${Number(set.gasUsed)}\\b`));
    matches(text, /← \[Return\] 0x0{63}5/);
    const trace = JSON.parse(await cast("rpc debug_traceTransaction", set.transactionHash, '{"tracer":"callTracer"}'));
    equal([trace.type, trace.gasUsed], ["CALL", set.gasUsed]);
  });
  await check("simulate", async () => {
    const calls = [{ from: me, to: address, data: one.encodeFunctionData("set", [7, ""]) }, { to: address, data: one.encodeFunctionData("count") }];
    const [block] = JSON.parse(await cast("rpc eth_simulateV1", [JSON.stringify({ blockStateCalls: [{ calls }] })], "latest"));
    equal([block.calls[1].status, BigInt(block.calls[1].returnData)], ["0x1", 7n]);
  });
}

async function revertChecks() {
  const ways = async (...args) => [await refused("call", address, args), await refused("estimate", address, args)];
  await check("revert-reason", async () => {
    const data = one.encodeErrorResult("Error(string)", ["no such luck"]);
    for (const text of await ways("fail(string)", "no such luck")) {
      matches(text, new RegExp(`error code 3: execution reverted: no such luck, data: "${data}"`));
    }
  });
  await check("revert-own", async () => {
    const data = one.encodeErrorResult("TooLittle", [1, 2]);
    for (const text of await ways("failOwn(uint256,uint256)", "1", "2")) {
      matches(text, new RegExp(`error code 3: execution reverted, data: "${data}"`));
    }
  });
  await check("revert-panic", async () => {
    for (const text of await ways("failPanic(uint256)", "0")) {
      matches(text, /error code 3: execution reverted: division or modulo by zero/);
    }
  });
}

async function eventChecks() {
  const signature = "Counted(address,uint256,string)";
  const counts = (logs) => logs.map(({ topics }) => Number(topics[2]));
  const first = await send(address, "many(uint256,uint256) 50 5");
  const second = await send(address, "many(uint256,uint256) 60 2");
  const range = ["--from-block", `${Number(first.blockNumber)}`, "--to-block", `${Number(second.blockNumber)}`, "--address", address];

  await check("logs-address", async () => {
    equal(counts(await json("logs", range, signature)), [50, 51, 52, 53, 54, 60, 61]);
    equal(await json("logs", range.slice(0, 4), "--address", me, signature), []);
  });
  await check("logs-topics", async () => {
    equal(counts(await json("logs", range, ["Counted(address indexed,uint256 indexed,string)", me, "52"])), [52]);
    equal(await json("logs", range, [id("Paid(address,uint256)")]), []);
  });
  await check("subscribe-logs", async () => {
    const args = ["logs", "--subscribe", "--address", address, "--json", "-r", config.chain.ws, signature];
    const child = spawn(PROGRAM, args);
    let text = "";
    child.stdout.on("data", (part) => (text += part));
    // The program does not say when it listens; it hears of one of several transactions.
    await until(async () => {
      await send(address, "many(uint256,uint256) 80 1");
      return text.includes("}");
    }, "a log");
    child.kill();
    equal(counts([JSON.parse(text.slice(1, text.indexOf("}") + 1))]), [80]);
  });
}

async function transactionChecks() {
  await check("fee-history", async () => {
    const number = await cast("block-number");
    const { baseFeePerGas, oldestBlock } = JSON.parse(await cast("rpc eth_feeHistory 0x1", toBeHex(number).replace(/^0x0+/, "0x"), "[]"));
    const block = await json("block", number);
    const [gasUsed, gasLimit, base] = [block.gasUsed, block.gasLimit, block.baseFeePerGas].map(BigInt);
    equal([Number(oldestBlock), baseFeePerGas.map(BigInt)], [Number(number), [base, nextBaseFee({ gasUsed, gasLimit, baseFeePerGas: base })]]);
  });
  await check("gas-price", async () => {
    const found = await until(async () => {
      const before = await cast("block-number");
      const price = BigInt(await cast("gas-price"));
      const sum = BigInt(JSON.parse(await cast("rpc eth_maxPriorityFeePerGas"))) + BigInt(await cast("base-fee"));
      return before === (await cast("block-number")) && [price, sum];
    }, "a quiet moment");
    equal(found[0], found[1]);
  });
  await check("fees", async () => {
    const receipt = await send(me);
    const { maxFeePerGas, maxPriorityFeePerGas } = await json("tx", receipt.transactionHash);
    const base = BigInt(await cast("base-fee", `${Number(receipt.blockNumber)}`));
    const wanted = base + BigInt(maxPriorityFeePerGas);
    equal(BigInt(receipt.effectiveGasPrice), wanted < BigInt(maxFeePerGas) ? wanted : BigInt(maxFeePerGas));
  });
  const price = `${2n * BigInt(await cast("gas-price"))}`;
  const put = ["put(uint256,uint256)", "3", "4"];
  const type = async (wanted, ...parts) => {
    const receipt = await send(...parts);
    const tx = await json("tx", receipt.transactionHash);
    equal([receipt.status, receipt.type, tx.type], ["0x1", wanted, wanted]);
    return { receipt, tx };
  };
  await check("type-0", async () => equal(BigInt((await type("0x0", "--legacy --gas-price", price, address, put)).receipt.effectiveGasPrice), BigInt(price)));
  await check("type-1", async () => {
    const list = [{ address: address.toLowerCase(), storageKeys: [toBeHex(1, 32)] }];
    const { tx } = await type("0x1", "--legacy --gas-price", price, address, put, "--access-list", [JSON.stringify(list)]);
    equal(tx.accessList, list);
  });
  await check("type-2", async () => {
    const { receipt, tx } = await type("0x2", "--priority-gas-price 1000007 --gas-price", price, address, put);
    equal([tx.maxPriorityFeePerGas, BigInt(tx.maxFeePerGas)], ["0xf4247", BigInt(price)]);
    equal(BigInt(receipt.effectiveGasPrice), BigInt(await cast("base-fee", `${Number(receipt.blockNumber)}`)) + 1_000_007n);
  });
  await check("type-4", async () => {
    const fresh = Wallet.createRandom();
    const authorization = await cast("wallet sign-auth", address, "--nonce 0 --private-key", fresh.privateKey);
    await type("0x4", fresh.address, ["set(uint256,string)", "4", "delegated", "--auth", authorization]);
    equal(await cast("code", fresh.address), `0xef0100${address.slice(2).toLowerCase()}`);
    equal(await cast("storage", fresh.address, "0"), toBeHex(4, 32));
  });
  await check("raw", async () => {
    const raw = await cast("mktx", signed, address, "--value 1");
    const { transactionHash } = await json("publish", raw);
    equal([(await json("tx", transactionHash)).value, await cast("tx", transactionHash, "--raw")], ["0x1", raw]);
  });
  await check("raw-sync", async () => equal((await json("send --sync", signed, address, "--value 1")).status, "0x1"));
  await check("message", async () => {
    const text = toBeHex(12345, 32);
    const signature = await cast("wallet sign", signed, text);
    const [r, s, v] = [signature.slice(0, 66), `0x${signature.slice(66, 130)}`, Number(`0x${signature.slice(130)}`)];
    equal(await cast("call", address, ["signerOfMessage(bytes32,uint8,bytes32,bytes32)(address)", text, `${v}`, r, s]), me);
  });
}

async function poolChecks() {
  const price = 2n * BigInt(await cast("gas-price"));
  const plain = ["--value", "1", "--gas-limit", "60000", "--priority-gas-price", `${price / 4n}`, "--gas-price", `${price}`];
  const sender = async () => {
    const fresh = Wallet.createRandom();
    await send(fresh.address, "--value 1ether");
    return { address: fresh.address, key: ["--private-key", fresh.privateKey] };
  };
  await check("quick-sends", async () => {
    const own = await sender();
    const hashes = [];
    for (let i = 0; i < 5; i += 1) hashes.push(await cast("send --async", own.key, address, "--value 1"));
    const receipts = await Promise.all(hashes.map((hash) => json("receipt", hash)));
    equal([receipts.map(({ status }) => status), await cast("nonce", own.address)], [hashes.map(() => "0x1"), "5"]);
  });
  await check("pool", async () => {
    const own = await sender();
    const hash = await cast("send --async", own.key, plain, "--nonce 1", address);
    const { queued } = await json("tx-pool content-from --from", own.address);
    equal([Object.keys(queued), queued[1].hash], [["1"], hash]);
    await cast("send --async", own.key, plain, "--nonce 0", address);
    equal((await json("receipt", hash)).status, "0x1");

  });
  await check("replace", async () => {
    const own = await sender();
    const low = await cast("send --async", own.key, plain, "--nonce 1", address);
    const more = plain.map((part) => (BigInt(/^\d+$/.test(part) ? part : 0) >= price / 4n ? `${BigInt(part) * 2n}` : part));
    const high = await cast("send --async", own.key, more, "--nonce 1", address);
    await cast("send --async", own.key, plain, "--nonce 0", address);
    equal((await json("receipt", high)).status, "0x1");
    matches(await refused("tx", low), /tx not found/);
  });
  await check("known", async () => {
    const own = await sender();
    const raw = await cast("mktx", own.key, plain, "--nonce 1", address);
    await cast("publish --async", raw);
    matches(await refused("publish --async", raw), REFUSALS.known);
  });
  await check("underpriced", async () => {
    const own = await sender();
    await cast("send --async", own.key, plain, "--nonce 1", address);
    matches(await refused("send --async", own.key, plain, "--nonce 1", ZeroAddress), REFUSALS.underpriced);
  });
  await check("nonce-low", async () => matches(await refused("send", signed, plain, "--nonce 0", address), REFUSALS.nonceLow));
  await check("funds", async () => {
    const poor = ["--private-key", Wallet.createRandom().privateKey];
    matches(await refused("send", poor, plain, address), REFUSALS.funds);
    matches(await refused("send", poor, "--value 1", address), REFUSALS.funds);
  });
  await check("gas-low", async () => matches(await refused("send", (await sender()).key, "--gas-limit 20999", address), REFUSALS.gasLow));
  await check("gas-high", async () => matches(await refused("send", (await sender()).key, "--gas-limit 16777217", address), REFUSALS.gasHigh));
  await check("wrong-chain", async () => {
    const foreign = await new Wallet(key).signTransaction({ type: 2, chainId: 1, to: address, nonce: 0, gasLimit: 60000, maxFeePerGas: price, maxPriorityFeePerGas: 1n });
    matches(await refused("publish --async", foreign), REFUSALS.wrongChain);
  });
  await check("malformed", async () => matches(await refused("rpc eth_sendRawTransaction 0x02"), /error code -32(000|602)/));
}
