// Fees, each type of transaction, and signatures.
import { Signature, Wallet, hexlify, randomBytes, toBeHex, ZeroHash } from "ethers";
import { nextBaseFee } from "../ethereum.mjs";
import { atOneBlock, chainId, check, equal, ok } from "../harness.mjs";

/** A tip that is not the usual one, and that producers of blocks take: geth leaves out those below 10⁶ wei. */
const TIP = 1_000_007n;

export async function transactionChecks(at) {
  await feeChecks(at);
  await typeChecks(at);
  await rawChecks(at);
  await signatureChecks(at);
}

async function feeChecks({ provider, wallet }) {
  await check("fee-history", async () => {
    const history = await provider.send("eth_feeHistory", ["0x4", "latest", [25, 75]]);
    const oldest = Number(history.oldestBlock);
    const count = history.gasUsedRatio.length;
    equal([count, history.baseFeePerGas.length, history.reward.length], [4, 5, 4]);
    equal([history.baseFeePerBlobGas, history.blobGasUsedRatio], [Array(5).fill("0x1"), Array(4).fill(0)]);
    for (let i = 0; i < count; i += 1) {
      const block = await provider.getBlock(oldest + i);
      equal(BigInt(history.baseFeePerGas[i]), block.baseFeePerGas);
      equal(BigInt(history.baseFeePerGas[i + 1]), nextBaseFee(block));
      ok(Math.abs(history.gasUsedRatio[i] - Number(block.gasUsed) / Number(block.gasLimit)) < 1e-9);
      const tips = await Promise.all(block.transactions.map(async (hash) => (await provider.getTransactionReceipt(hash)).gasPrice - block.baseFeePerGas));
      if (tips.length === 1) equal(history.reward[i].map(BigInt), [tips[0], tips[0]]);
    }
  });
  await check("gas-price", async () => {
    await atOneBlock(() => provider.getBlockNumber(), async () => {
      const [price, tip] = await Promise.all(["eth_gasPrice", "eth_maxPriorityFeePerGas"].map((method) => provider.send(method, [])));
      const { baseFeePerGas } = await provider.getBlock("latest");
      equal(BigInt(price), BigInt(tip) + baseFeePerGas);
    });
  });
  await check("fees", async () => {
    const { maxFeePerGas, maxPriorityFeePerGas } = await provider.getFeeData();
    const receipt = await (await wallet.sendTransaction({ to: wallet.address, maxFeePerGas, maxPriorityFeePerGas })).wait();
    const { baseFeePerGas: base } = await provider.getBlock(receipt.blockNumber);
    const wanted = base + maxPriorityFeePerGas < maxFeePerGas ? base + maxPriorityFeePerGas : maxFeePerGas;
    equal(receipt.gasPrice, wanted);
  });
}

async function typeChecks({ provider, wallet, probe, address }) {
  const send = async (request) => {
    const sent = await wallet.sendTransaction(request);
    const receipt = await sent.wait();
    const found = await provider.getTransaction(sent.hash);
    equal([receipt.status, receipt.type, found.type], [1, request.type, request.type]);
    equal([found.from, found.nonce, found.signature.serialized], [wallet.address, sent.nonce, sent.signature.serialized]);
    return { receipt, found };
  };
  const data = probe.interface.encodeFunctionData("put", [1, 2]);
  const { gasPrice } = await provider.getFeeData();

  await check("type-0", async () => {
    const { receipt, found } = await send({ type: 0, to: address, data, gasPrice: gasPrice * 2n });
    equal([found.gasPrice, receipt.gasPrice, found.data], [gasPrice * 2n, gasPrice * 2n, data]);
  });
  await check("type-1", async () => {
    const accessList = [{ address, storageKeys: [ZeroHash, toBeHex(1, 32)] }];
    const { found } = await send({ type: 1, to: address, data, accessList, gasPrice: gasPrice * 2n });
    equal([found.accessList, Number(found.chainId)], [accessList, chainId]);
  });
  await check("type-2", async () => {
    const fees = { maxFeePerGas: gasPrice * 3n, maxPriorityFeePerGas: TIP };
    const { receipt, found } = await send({ type: 2, to: address, data, ...fees });
    equal([found.maxFeePerGas, found.maxPriorityFeePerGas], [gasPrice * 3n, TIP]);
    equal(receipt.gasPrice, (await provider.getBlock(receipt.blockNumber)).baseFeePerGas + TIP);
  });
  await check("type-4", async () => {
    const fresh = Wallet.createRandom(provider);
    const authorization = await fresh.authorize({ address, nonce: 0, chainId });
    const set = probe.interface.encodeFunctionData("set", [4, "delegated"]);
    const { receipt, found } = await send({ type: 4, to: fresh.address, data: set, authorizationList: [authorization] });
    equal(found.authorizationList.map((item) => [item.address, item.nonce]), [[address, 0n]]);
    equal(await provider.getCode(fresh.address), `0xef0100${address.slice(2).toLowerCase()}`);
    equal(await provider.getStorage(fresh.address, 0), toBeHex(4, 32));
    equal([receipt.logs[0].address, await provider.getTransactionCount(fresh.address)], [fresh.address, 1]);
    const undo = await fresh.authorize({ address: "0x0000000000000000000000000000000000000000", nonce: 1, chainId });
    await send({ type: 4, to: wallet.address, authorizationList: [undo] });
    equal(await provider.getCode(fresh.address), "0x");
  });
}

async function rawChecks({ provider, wallet, address }) {
  const signed = async (request) => wallet.signTransaction(await wallet.populateTransaction({ type: 2, ...request }));

  await check("raw", async () => {
    const bytes = await signed({ to: address, value: 1n });
    const sent = await provider.broadcastTransaction(bytes);
    await sent.wait();
    equal((await provider.getTransaction(sent.hash)).value, 1n);
    equal(await provider.send("eth_getRawTransactionByHash", [sent.hash]), bytes);
  });
  await check("raw-sync", async () => {
    const receipt = await provider.send("eth_sendRawTransactionSync", [await signed({ to: address, value: 1n })]);
    equal([receipt.status, receipt.to, receipt.from], ["0x1", address.toLowerCase(), wallet.address.toLowerCase()]);
    equal(await provider.send("eth_getTransactionReceipt", [receipt.transactionHash]), receipt);
  });
  await check("fill", async () => {
    const { tx, raw } = await provider.send("eth_fillTransaction", [{ from: wallet.address, to: address, value: "0x5" }]);
    const nonce = await provider.getTransactionCount(wallet.address, "pending");
    equal([Number(tx.nonce), Number(tx.chainId), Number(tx.value), Number(tx.type)], [nonce, chainId, 5, 2]);
    equal([raw.slice(0, 4), BigInt(tx.maxFeePerGas) > BigInt(tx.maxPriorityFeePerGas)], ["0x02", true]);
    const request = { type: 2, to: tx.to, nonce, gasLimit: tx.gas, value: 5n };
    const fees = { maxFeePerGas: tx.maxFeePerGas, maxPriorityFeePerGas: tx.maxPriorityFeePerGas };
    equal((await (await wallet.sendTransaction({ ...request, ...fees })).wait()).status, 1);
  });
}

async function signatureChecks({ wallet, probe, address }) {
  await check("message", async () => {
    const text = randomBytes(32);
    const { v, r, s } = Signature.from(await wallet.signMessage(text));
    equal(await probe.signerOfMessage(hexlify(text), v, r, s), wallet.address);
    ok((await probe.signerOfMessage(hexlify(randomBytes(32)), v, r, s)) !== wallet.address);
  });
  await check("typed-data", async () => {
    const domain = { name: "Probe", version: "1", chainId, verifyingContract: address };
    const types = { Vote: [{ name: "id", type: "uint256" }, { name: "text", type: "string" }] };
    const { v, r, s } = Signature.from(await wallet.signTypedData(domain, types, { id: 3n, text: "yes" }));
    equal(await probe.signerOfVote(3n, "yes", v, r, s), wallet.address);
    ok((await probe.signerOfVote(3n, "no", v, r, s)) !== wallet.address);
  });
}
