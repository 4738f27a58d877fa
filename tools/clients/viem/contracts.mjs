// Calls, transactions to a contract, and how a contract's failures come back.
import { decodeEventLog, encodeFunctionData, pad, parseEther, toHex } from "viem";
import { generatePrivateKey, privateKeyToAddress } from "viem/accounts";
import { chainId, check, equal, failure, ok, probe as artefact } from "../harness.mjs";

const { abi } = artefact;

export async function contractChecks(at) {
  const { client, probe, address, me, mined } = at;

  await check("call", async () => {
    const { number, timestamp, gasLimit } = await client.getBlock({ blockNumber: at.deployed.blockNumber });
    equal(await probe.read.context({ account: me, blockNumber: number }), [client.account.address, BigInt(chainId), number, timestamp, gasLimit]);
    const { result } = await probe.simulate.pay({ account: me, value: 7n });
    equal(result, (await client.getBalance({ address })) + 7n);
    equal((await probe.simulate.set([9n, "only called"])).result, 5n);
    equal(await probe.read.count(), 5n);
  });
  await check("send", async () => {
    at.set = await mined(probe.write.set([6n, "six"]));
    equal([at.set.status, at.set.to, at.set.from], ["success", address.toLowerCase(), me.toLowerCase()]);
    equal(await probe.read.count(), 6n);
    const { eventName, args } = decodeEventLog({ abi, ...at.set.logs[0] });
    equal([eventName, { ...args }], ["Counted", { by: me, count: 6n, note: "six" }]);
    equal([at.set.logs.length, at.set.logs[0].removed, at.set.logs[0].blockHash], [1, false, at.set.blockHash]);
  });
  await check("call-before", async () => {
    equal(await probe.read.count({ blockNumber: at.set.blockNumber - 1n }), 5n);
    equal(await probe.read.count({ blockNumber: at.set.blockNumber }), 6n);
    const { parentHash } = await client.getBlock({ blockNumber: at.set.blockNumber });
    equal(await probe.read.ancestor([at.set.blockNumber - 1n], { blockNumber: at.set.blockNumber }), parentHash);
  });
  await check("call-overrides", async () => {
    const read = (override) => client.readContract({ abi, functionName: "count", address: override.address, stateOverride: [override] });
    equal(await read({ address, stateDiff: [{ slot: pad("0x0"), value: pad("0x63") }] }), 99n);
    const fresh = privateKeyToAddress(generatePrivateKey());
    equal(await read({ address: fresh, code: artefact.deployedBytecode, stateDiff: [{ slot: pad("0x0"), value: pad("0x62") }] }), 98n);
    const pay = { abi, address, functionName: "pay", account: fresh, value: 100n };
    const { result } = await client.simulateContract({ ...pay, stateOverride: [{ address: fresh, balance: parseEther("1") }] });
    equal(result, (await client.getBalance({ address })) + 100n);
    const poor = await failure(client.simulateContract(pay));
    equal(poor.walk((cause) => cause.name === "InsufficientFundsError")?.name, "InsufficientFundsError");
    const number = await client.call({ to: address, data: encodeFunctionData({ abi, functionName: "context" }), blockOverrides: { number: 10n ** 6n } });
    equal(BigInt(`0x${number.data.slice(2 + 128, 2 + 192)}`), 10n ** 6n);
  });
  await check("send-failed", async () => {
    const data = encodeFunctionData({ abi, functionName: "fail", args: ["on purpose"] });
    const receipt = await mined(client.sendTransaction({ to: address, data, gas: 100_000n }));
    equal([receipt.status, receipt.logs, receipt.contractAddress], ["reverted", [], null]);
    ok(receipt.gasUsed > 21_000n && receipt.gasUsed < 100_000n);
  });
  await check("estimate", async () => {
    equal(await client.estimateGas({ account: me, to: me, value: 1n }), 21_000n);
    const gas = await probe.estimateGas.many([1000n, 50n]);
    const receipt = await mined(probe.write.many([1000n, 50n], { gas }));
    equal([receipt.status, receipt.logs.length], ["success", 50]);
    ok(gas >= receipt.gasUsed && gas <= (receipt.gasUsed * 11n) / 10n, `${gas} of ${receipt.gasUsed}`);
  });
  await revertChecks(at);
  await check("access-list", async () => {
    const data = encodeFunctionData({ abi, functionName: "set", args: [8n, "listed"] });
    const { accessList, gasUsed } = await client.createAccessList({ account: me, to: address, data });
    equal(accessList, [{ address: address.toLowerCase(), storageKeys: [pad("0x0")] }]);
    const receipt = await mined(client.sendTransaction({ to: address, data, accessList, type: "eip2930" }));
    equal([receipt.status, receipt.gasUsed], ["success", gasUsed]);
  });
  await check("simulate", async () => {
    const before = await probe.read.count();
    const calls = [["set", 77n, "simulated"], ["count"], ["failOwn", 1n, 2n]].map(([functionName, ...args]) => ({ abi, to: address, functionName, args }));
    const { results } = await client.simulateCalls({ account: me, calls });
    equal(results.map(({ status }) => status), ["success", "success", "failure"]);
    equal([results[0].result, results[1].result, results[0].logs.length], [before, 77n, 1]);
    const [block] = await client.simulateBlocks({ blocks: [{ calls: calls.slice(0, 2), blockOverrides: { time: 4_000_000_000n } }] });
    equal([block.timestamp, block.calls[1].result], [4_000_000_000n, 77n]);
    equal(await probe.read.count(), before);
  });
  await check("trace", async () => {
    const receipt = await mined(probe.write.set([10n, "traced"]));
    const trace = (options) => client.request({ method: "debug_traceTransaction", params: [receipt.transactionHash, options] });
    const call = await trace({ tracer: "callTracer" });
    equal([call.type, call.from, call.to, BigInt(call.gasUsed)], ["CALL", me.toLowerCase(), address.toLowerCase(), receipt.gasUsed]);
    equal([BigInt(call.value ?? "0x0"), BigInt(call.output)], [0n, await probe.read.count({ blockNumber: receipt.blockNumber - 1n })]);
    const data = encodeFunctionData({ abi, functionName: "set", args: [11n, "only traced"] });
    const traced = await client.request({ method: "debug_traceCall", params: [{ from: me, to: address, data }, "latest", { tracer: "callTracer" }] });
    const { type, from, to, value, input, output } = traced;
    equal([type, from, to, value ?? "0x0", input, BigInt(output)], ["CALL", me.toLowerCase(), address.toLowerCase(), "0x0", data, 10n]);
    ok(BigInt(traced.gasUsed) > 21_000n && BigInt(traced.gas) >= BigInt(traced.gasUsed));
  });
}

async function revertChecks({ client, probe, address, me }) {
  const ways = (functionName, ...args) => [
    () => client.readContract({ abi, address, functionName, args }),
    () => client.estimateContractGas({ abi, address, functionName, args, account: me }),
  ];
  const reverted = async (way) => (await failure(way())).walk((cause) => cause.name === "ContractFunctionRevertedError");

  await check("revert-reason", async () => {
    for (const way of ways("fail", "no such luck")) equal((await reverted(way))?.reason, "no such luck");
  });
  await check("revert-own", async () => {
    for (const way of ways("failOwn", 1n, 2n)) {
      const { data } = (await reverted(way)) ?? {};
      equal([data?.errorName, data?.args], ["TooLittle", [1n, 2n]]);
    }
  });
  await check("revert-panic", async () => {
    for (const way of ways("failPanic", 0n)) {
      const { data } = (await reverted(way)) ?? {};
      equal([data?.errorName, data?.args], ["Panic", [18n]]);
    }
    equal((await failure(client.call({ to: address, data: toHex(0xdeadbeef) }))).name, "CallExecutionError");
  });
}
