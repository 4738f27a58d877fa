// Calls, transactions to a contract, and how a contract's failures come back.
import { Wallet, toBeHex } from "ethers";
import { chainId, check, equal, failsWith, failure, ok, raw } from "../harness.mjs";

export async function contractChecks(at) {
  const { provider, wallet, probe, address } = at;

  await check("call", async () => {
    const { number, timestamp, gasLimit } = await provider.getBlock(at.deployed.blockNumber);
    const context = await probe.context({ blockTag: number });
    equal([...context], [wallet.address, BigInt(chainId), BigInt(number), BigInt(timestamp), gasLimit]);
    equal(await probe.pay.staticCall({ value: 7n }), (await provider.getBalance(address)) + 7n);
    equal(await probe.set.staticCall(9, "only called"), 5n);
    equal(await probe.count(), 5n);
  });
  await check("send", async () => {
    const receipt = await (await probe.set(6, "six")).wait();
    equal([receipt.status, receipt.to, receipt.from, receipt.contractAddress], [1, address, wallet.address, null]);
    equal(await probe.count(), 6n);
    const [log] = receipt.logs;
    equal([receipt.logs.length, log.fragment.name, [...log.args]], [1, "Counted", [wallet.address, 6n, "six"]]);
    equal([log.blockHash, log.transactionHash], [receipt.blockHash, receipt.hash]);
    const block = await provider.getBlock(receipt.blockNumber);
    ok(receipt.cumulativeGasUsed >= receipt.gasUsed && block.transactions.includes(receipt.hash));
    at.set = receipt;
  });
  await check("call-before", async () => {
    equal(await probe.count({ blockTag: at.set.blockNumber - 1 }), 5n);
    equal(await probe.count({ blockTag: at.set.blockNumber }), 6n);
    const { hash, parentHash } = await provider.getBlock(at.set.blockNumber);
    const data = probe.interface.encodeFunctionData("count");
    for (const [blockHash, count] of [[parentHash, 5], [hash, 6]]) {
      equal(await provider.send("eth_call", [{ to: address, data }, { blockHash }]), toBeHex(count, 32));
    }
    equal(await probe.ancestor(at.set.blockNumber - 1, { blockTag: at.set.blockNumber }), parentHash);
  });
  await check("call-overrides", async () => {
    const data = probe.interface.encodeFunctionData("count");
    const call = (override, to = address) => provider.send("eth_call", [{ to, data }, "latest", { [to]: override }]);
    const value = toBeHex(99, 32);
    equal(await call({ stateDiff: { [toBeHex(0, 32)]: value } }), value);
    equal(await call({ state: {} }), toBeHex(0, 32));
    const code = await provider.getCode(address);
    equal(await call({ code, state: { [toBeHex(0, 32)]: value } }, Wallet.createRandom().address), value);
    const poor = Wallet.createRandom().address;
    const pay = { from: poor, to: address, value: "0x64", data: probe.interface.encodeFunctionData("pay") };
    const sum = (await provider.getBalance(address)) + 100n;
    equal(BigInt(await provider.send("eth_call", [pay, "latest", { [poor]: { balance: "0x64" } }])), sum);
    ok(/insufficient funds/i.test((await raw("eth_call", pay, "latest")).error.message));
  });
  await check("send-failed", async () => {
    const sent = await probe.fail.send("on purpose", { gasLimit: 100_000n });
    equal((await failure(sent.wait())).code, "CALL_EXCEPTION");
    const receipt = await provider.getTransactionReceipt(sent.hash);
    equal([receipt.status, receipt.logs.length], [0, 0]);
    ok(receipt.gasUsed > 21_000n && receipt.gasUsed < 100_000n);
  });
  await check("estimate", async () => {
    equal(await wallet.estimateGas({ to: wallet.address, value: 1n }), 21_000n);
    const gasLimit = await probe.many.estimateGas(1000, 50);
    const receipt = await (await probe.many(1000, 50, { gasLimit })).wait();
    equal([receipt.status, receipt.logs.length], [1, 50]);
    ok(gasLimit >= receipt.gasUsed && gasLimit <= (receipt.gasUsed * 11n) / 10n, `${gasLimit} of ${receipt.gasUsed}`);
  });
  await revertChecks(at);
  await check("access-list", async () => {
    const request = { from: wallet.address, to: address, data: probe.interface.encodeFunctionData("set", [8, "listed"]) };
    const { accessList, gasUsed, error } = await provider.send("eth_createAccessList", [request, "latest"]);
    equal(error, undefined);
    equal(accessList.map((entry) => [entry.address.toLowerCase(), entry.storageKeys]), [[address.toLowerCase(), [toBeHex(0, 32)]]]);
    const receipt = await (await wallet.sendTransaction({ ...request, type: 1, accessList })).wait();
    equal([receipt.status, receipt.gasUsed], [1, BigInt(gasUsed)]);
  });
  await simulateCheck(at);
  await traceCheck(at);
}

async function revertChecks({ probe, provider, wallet, address }) {
  const ways = (name, ...args) => [() => probe[name].staticCall(...args), () => probe[name].estimateGas(...args)];
  const request = (name, ...args) => ({ from: wallet.address, to: address, data: probe.interface.encodeFunctionData(name, args) });

  await check("revert-reason", async () => {
    for (const way of ways("fail", "no such luck")) {
      const error = await failure(way());
      equal([error.code, error.reason, error.revert.name], ["CALL_EXCEPTION", "no such luck", "Error"]);
    }
    for (const method of ["eth_call", "eth_estimateGas"]) {
      const { error } = await raw(method, request("fail", "no such luck"), "latest");
      const data = probe.interface.encodeErrorResult("Error(string)", ["no such luck"]);
      equal(error, { code: 3, message: "execution reverted: no such luck", data });
    }
  });
  await check("revert-own", async () => {
    for (const way of ways("failOwn", 1n, 2n)) {
      const error = await failure(way());
      equal([error.code, error.revert?.name ?? probe.interface.parseError(error.data).name], ["CALL_EXCEPTION", "TooLittle"]);
      equal([...probe.interface.parseError(error.data).args], [1n, 2n]);
    }
    for (const method of ["eth_call", "eth_estimateGas"]) {
      const { error } = await raw(method, request("failOwn", 1n, 2n), "latest");
      const data = probe.interface.encodeErrorResult("TooLittle", [1n, 2n]);
      equal(error, { code: 3, message: "execution reverted", data });
    }
  });
  await check("revert-panic", async () => {
    for (const way of ways("failPanic", 0n)) {
      equal((await failure(way())).reason, "Panic due to DIVIDE_BY_ZERO(18)");
    }
    const { error } = await raw("eth_call", request("failPanic", 0n), "latest");
    equal([error.code, error.message], [3, "execution reverted: division or modulo by zero"]);
    await failsWith(provider.call({ to: address, data: "0xdeadbeef" }), /CALL_EXCEPTION|missing revert data|execution reverted/);
  });
}

async function simulateCheck({ probe, provider, wallet, address }) {
  await check("simulate", async () => {
    const encode = (name, ...args) => ({ from: wallet.address, to: address, data: probe.interface.encodeFunctionData(name, args) });
    const before = await probe.count();
    const calls = [encode("set", 77, "simulated"), encode("count"), encode("fail", "simulated")];
    const blockStateCalls = [{ calls, stateOverrides: { [wallet.address]: { balance: "0x56bc75e2d63100000" } } }, { calls: [encode("count")] }];
    const [first, second] = await provider.send("eth_simulateV1", [{ blockStateCalls, validation: false }, "latest"]);
    equal(first.calls.map(({ status }) => status), ["0x1", "0x1", "0x0"]);
    equal(first.calls.map(({ logs }) => logs.length), [1, 0, 0]);
    equal([first.calls[0].returnData, first.calls[1].returnData], [toBeHex(before, 32), toBeHex(77, 32)]);
    equal(first.calls[2].error.message, "execution reverted: simulated");
    equal(second.calls[0].returnData, toBeHex(77, 32));
    equal([Number(second.number), second.parentHash], [Number(first.number) + 1, first.hash]);
    equal(await probe.count(), before);
  });
}

async function traceCheck({ probe, provider, wallet, address }) {
  await check("trace", async () => {
    const receipt = await (await probe.set(10, "traced")).wait();
    const trace = (options) => provider.send("debug_traceTransaction", [receipt.hash, options]);
    const call = await trace({ tracer: "callTracer", tracerConfig: { withLog: true } });
    equal([call.type, call.from, call.to], ["CALL", wallet.address.toLowerCase(), address.toLowerCase()]);
    equal([BigInt(call.gasUsed), call.logs.length, call.error], [receipt.gasUsed, 1, undefined]);
    const steps = await trace({});
    equal([BigInt(steps.gas), steps.failed, steps.structLogs.at(-1).op], [receipt.gasUsed, false, "RETURN"]);
    ok(steps.structLogs.some(({ op }) => op === "SSTORE"));
    const state = await trace({ tracer: "prestateTracer", tracerConfig: { diffMode: true } });
    equal(state.post[address.toLowerCase()].storage, { [toBeHex(0, 32)]: toBeHex(10, 32) });
  });
}
