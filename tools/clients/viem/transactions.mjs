// Fees, each type of transaction, and signatures.
import { encodeFunctionData, http, pad, parseSignature, toHex, zeroAddress, zeroHash } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { nextBaseFee } from "../ethereum.mjs";
import { atOneBlock, chainId, check, config, equal, ok, probe as artefact } from "../harness.mjs";

const { abi } = artefact;

/** A tip that is not the usual one, and that producers of blocks take: geth leaves out those below 10⁶ wei. */
const TIP = 1_000_007n;

export async function transactionChecks(at) {
  await feeChecks(at);
  await typeChecks(at);
  await rawChecks(at);
  await signatureChecks(at);
}

async function feeChecks({ client, me, mined }) {
  await check("fee-history", async () => {
    const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] });
    equal([history.gasUsedRatio.length, history.baseFeePerGas.length, history.reward.length], [4, 5, 4]);
    for (const [i, base] of history.baseFeePerGas.slice(0, 4).entries()) {
      const block = await client.getBlock({ blockNumber: history.oldestBlock + BigInt(i) });
      equal([base, history.baseFeePerGas[i + 1]], [block.baseFeePerGas, nextBaseFee(block)]);
      ok(Math.abs(history.gasUsedRatio[i] - Number(block.gasUsed) / Number(block.gasLimit)) < 1e-9);
    }
  });
  await check("gas-price", async () => {
    await atOneBlock(() => client.getBlockNumber(), async () => {
      const [price, tip] = await Promise.all([client.getGasPrice(), client.request({ method: "eth_maxPriorityFeePerGas" })]);
      equal(price, BigInt(tip) + (await client.getBlock()).baseFeePerGas);
    });
    equal(await client.getBlobBaseFee(), 1n);
  });
  await check("fees", async () => {
    const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas();
    const receipt = await mined(client.sendTransaction({ to: me, maxFeePerGas, maxPriorityFeePerGas }));
    const { baseFeePerGas: base } = await client.getBlock({ blockNumber: receipt.blockNumber });
    equal(receipt.effectiveGasPrice, base + maxPriorityFeePerGas < maxFeePerGas ? base + maxPriorityFeePerGas : maxFeePerGas);
  });
}

async function typeChecks({ client, address, me, mined }) {
  const send = async (request) => {
    const receipt = await mined(client.sendTransaction(request));
    const found = await client.getTransaction({ hash: receipt.transactionHash });
    equal([receipt.status, receipt.type, found.type, found.from], ["success", request.type, request.type, me.toLowerCase()]);
    return { receipt, found };
  };
  const data = encodeFunctionData({ abi, functionName: "put", args: [1n, 2n] });
  const gasPrice = (await client.getGasPrice()) * 2n;

  await check("type-0", async () => {
    const { receipt, found } = await send({ type: "legacy", to: address, data, gasPrice });
    equal([found.gasPrice, receipt.effectiveGasPrice, found.input, found.chainId], [gasPrice, gasPrice, data, chainId]);
  });
  await check("type-1", async () => {
    const accessList = [{ address: address.toLowerCase(), storageKeys: [zeroHash, pad("0x1")] }];
    const { found } = await send({ type: "eip2930", to: address, data, accessList, gasPrice });
    equal(found.accessList, accessList);
  });
  await check("type-2", async () => {
    const fees = { maxFeePerGas: gasPrice * 2n, maxPriorityFeePerGas: TIP };
    const { receipt, found } = await send({ type: "eip1559", to: address, data, ...fees });
    equal([found.maxFeePerGas, found.maxPriorityFeePerGas], [gasPrice * 2n, TIP]);
    equal(receipt.effectiveGasPrice, (await client.getBlock({ blockNumber: receipt.blockNumber })).baseFeePerGas + TIP);
  });
  await check("type-4", async () => {
    const fresh = privateKeyToAccount(generatePrivateKey());
    const authorization = await client.signAuthorization({ account: fresh, contractAddress: address });
    const set = encodeFunctionData({ abi, functionName: "set", args: [4n, "delegated"] });
    const { receipt, found } = await send({ type: "eip7702", to: fresh.address, data: set, authorizationList: [authorization] });
    // A quantity on the wire: without the zeros that it begins with.
    equal(found.authorizationList.map((one) => [one.address, one.nonce, BigInt(one.r)]), [[address.toLowerCase(), 0, BigInt(authorization.r)]]);
    equal((await client.getDelegation({ address: fresh.address })).toLowerCase(), address.toLowerCase());
    equal(await client.getStorageAt({ address: fresh.address, slot: "0x0" }), pad("0x4"));
    equal([receipt.logs[0].address, await client.getTransactionCount({ address: fresh.address })], [fresh.address.toLowerCase(), 1]);
    const undo = await client.signAuthorization({ account: fresh, contractAddress: zeroAddress });
    await send({ type: "eip7702", to: me, authorizationList: [undo] });
    equal(await client.getCode({ address: fresh.address }), undefined);
  });
}

async function rawChecks({ client, clientOf, address, me, mined }) {
  const signed = async (request) => client.signTransaction(await client.prepareTransactionRequest(request));

  await check("raw", async () => {
    const serializedTransaction = await signed({ to: address, value: 1n });
    const { transactionHash: hash } = await mined(client.sendRawTransaction({ serializedTransaction }));
    equal((await client.getTransaction({ hash })).value, 1n);
    equal(await client.request({ method: "eth_getRawTransactionByHash", params: [hash] }), serializedTransaction);
  });
  await check("raw-sync", async () => {
    const receipt = await client.sendRawTransactionSync({ serializedTransaction: await signed({ to: address, value: 1n }) });
    equal([receipt.status, receipt.to, receipt.from], ["success", address.toLowerCase(), me.toLowerCase()]);
    equal(await client.getTransactionReceipt({ hash: receipt.transactionHash }), receipt);
    const sync = await client.sendTransactionSync({ to: address, value: 1n });
    equal([sync.status, sync.blockNumber > receipt.blockNumber], ["success", true]);
  });
  await check("fill", async () => {
    const { transaction } = await client.fillTransaction({ to: address, value: 5n });
    const nonce = await client.getTransactionCount({ address: me, blockTag: "pending" });
    equal([transaction.nonce, transaction.chainId, transaction.value, transaction.type], [nonce, chainId, 5n, "eip1559"]);
    ok(transaction.maxFeePerGas > transaction.maxPriorityFeePerGas && transaction.gas >= 21_000n);
    // What the client sends of its own accord: filled by the node, with no requests for the parts.
    const methods = [];
    const onFetchRequest = (_, { body }) => {
      methods.push(JSON.parse(body).method);
    };
    const watched = clientOf(client.account, http(config.chain.rpc, { retryCount: 0, onFetchRequest }));
    await mined(watched.sendTransaction({ to: address, value: 5n }));
    ok(methods.includes("eth_fillTransaction") && !methods.includes("eth_estimateGas"), methods.join());
  });
}

async function signatureChecks({ client, address, me, probe }) {
  const parts = (signature) => {
    const { v, r, s } = parseSignature(signature);
    return [Number(v), r, s];
  };
  await check("message", async () => {
    const text = toHex(crypto.getRandomValues(new Uint8Array(32)));
    const signature = await client.signMessage({ message: { raw: text } });
    equal(await probe.read.signerOfMessage([text, ...parts(signature)]), me);
    equal(await client.verifyMessage({ address: me, message: { raw: text }, signature }), true);
    equal(await client.verifyMessage({ address, message: { raw: text }, signature }), false);
  });
  await check("typed-data", async () => {
    const domain = { name: "Probe", version: "1", chainId, verifyingContract: address };
    const types = { Vote: [{ name: "id", type: "uint256" }, { name: "text", type: "string" }] };
    const signature = await client.signTypedData({ domain, types, primaryType: "Vote", message: { id: 3n, text: "yes" } });
    equal(await probe.read.signerOfVote([3n, "yes", ...parts(signature)]), me);
    ok((await probe.read.signerOfVote([3n, "no", ...parts(signature)])) !== me);
  });
}
