// Blocks, accounts and proofs.
import { createPublicClient, getContractAddress, http, keccak256, pad, toHex, zeroHash } from "viem";
import { generatePrivateKey, privateKeyToAddress } from "viem/accounts";
import { checkProof, headerHash } from "../ethereum.mjs";
import { GENESIS_BALANCE, atOneBlock, chainId, check, config, equal, failure, ok, probe, words } from "../harness.mjs";

const nothing = keccak256(toHex("nothing"));

export async function chainChecks(at) {
  const { client, me, mined, options } = at;

  await check("chain-id", async () => equal(await client.getChainId(), chainId));
  await check("client-version", async () => ok(/^\w+\/v?\d+\.\d+/.test(await client.request({ method: "web3_clientVersion" }))));
  await check("syncing", async () => equal(await client.request({ method: "eth_syncing" }), false));
  await check("block-number", async () => {
    const before = await client.getBlockNumber();
    const { blockNumber } = await mined(client.sendTransaction({ to: me }));
    ok(before < blockNumber && blockNumber <= (await client.getBlockNumber()));
  });
  await check("block", async () => {
    const block = await client.getBlock({ blockNumber: at.deployed.blockNumber });
    equal([block.hash, block.transactions[at.deployed.transactionIndex]], [at.deployed.blockHash, at.deployed.transactionHash]);
    equal(await client.getBlock({ blockHash: block.hash }), block);
    equal((await client.getBlock({ blockNumber: block.number - 1n })).hash, block.parentHash);
    ok(block.gasUsed >= at.deployed.gasUsed && block.gasUsed <= block.gasLimit);
  });
  await check("block-hash", async () => {
    const block = await client.request({ method: "eth_getBlockByHash", params: [at.deployed.blockHash, false] });
    equal(headerHash(block), at.deployed.blockHash);
  });
  await check("block-tags", async () => {
    await atOneBlock(() => client.getBlockNumber(), async (number) => {
      const [latest, safe, finalized, pending] = await Promise.all(
        ["latest", "safe", "finalized", "pending"].map((blockTag) => client.getBlock({ blockTag })),
      );
      equal(latest.number, number);
      ok(finalized.number <= safe.number && safe.number <= latest.number);
      equal([pending.number, pending.parentHash], [number + 1n, latest.hash]);
    });
    const earliest = await client.getBlock({ blockTag: "earliest" });
    equal([earliest.number, earliest.parentHash], [0n, zeroHash]);
  });
  await check("block-transactions", async () => {
    const { blockHash, blockNumber, transactionHash: hash, transactionIndex: index } = at.deployed;
    const block = await client.getBlock({ blockHash, includeTransactions: true });
    const whole = await client.getTransaction({ hash });
    equal([whole.from, whole.to, whole.value], [me.toLowerCase(), null, 10n ** 18n]);
    equal(await client.getTransaction({ blockHash, index }), whole);
    equal(await client.getTransaction({ blockNumber, index }), whole);
    equal(block.transactions[index], whole);
    equal(await client.getBlockTransactionCount({ blockHash }), block.transactions.length);
    equal(await client.getTransactionConfirmations({ hash }), (await client.getBlockNumber()) - blockNumber + 1n);
  });
  await check("block-receipts", async () => {
    const { blockHash, transactionHash, transactionIndex } = at.deployed;
    const receipts = await client.request({ method: "eth_getBlockReceipts", params: [blockHash] });
    const one = await client.request({ method: "eth_getTransactionReceipt", params: [transactionHash] });
    equal(receipts[transactionIndex], one);
  });
  await check("unknown", async () => {
    equal((await failure(client.getBlock({ blockNumber: 10n ** 9n }))).name, "BlockNotFoundError");
    equal((await failure(client.getBlock({ blockHash: nothing }))).name, "BlockNotFoundError");
    equal((await failure(client.getTransaction({ hash: nothing }))).name, "TransactionNotFoundError");
    equal((await failure(client.getTransactionReceipt({ hash: nothing }))).name, "TransactionReceiptNotFoundError");
  });
  await check("batch", async () => {
    const batching = createPublicClient({ ...options, transport: http(config.chain.rpc, { batch: true, retryCount: 0 }) });
    const balances = config.accounts.map(({ address }) => batching.getBalance({ address, blockTag: "earliest" }));
    const refused = failure(batching.request({ method: "eth_nothing" }));
    equal(await Promise.all(balances), config.accounts.map(() => GENESIS_BALANCE));
    equal((await refused).code, -32601);
  });
  await check("method-unknown", async () => {
    const error = await failure(client.request({ method: "eth_nothing" }));
    equal([error.name, error.code], ["MethodNotFoundRpcError", -32601]);
  });
  await check("params-bad", async () => {
    for (const params of [[], ["0x12", "latest"], [me, "newest"]]) {
      const error = await failure(client.request({ method: "eth_getBalance", params }));
      equal([error.name, error.code], ["InvalidParamsRpcError", -32602], words(error));
    }
  });
  await check("no-names", async () => {
    ok(/not configured|does not support contract "ensUniversalResolver"/.test(words(await failure(client.getEnsAddress({ name: "lode.eth" })))));
  });
}

export async function accountChecks(at) {
  const { client, me, mined } = at;
  const fresh = privateKeyToAddress(generatePrivateKey());

  await check("balance", async () => {
    const { blockNumber, gasUsed, effectiveGasPrice } = await mined(client.sendTransaction({ to: fresh, value: 12345n }));
    equal(await client.getBalance({ address: fresh }), 12345n);
    equal(await client.getBalance({ address: fresh, blockNumber: blockNumber - 1n }), 0n);
    const before = await client.getBalance({ address: me, blockNumber: blockNumber - 1n });
    equal(await client.getBalance({ address: me, blockNumber }), before - 12345n - gasUsed * effectiveGasPrice);
    equal(await client.getBalance({ address: me, blockTag: "earliest" }), GENESIS_BALANCE);
  });
  await check("nonce", async () => {
    const before = await client.getTransactionCount({ address: me });
    equal(await client.getTransactionCount({ address: me, blockTag: "pending" }), before);
    await mined(client.sendTransaction({ to: fresh, nonce: before }));
    equal(await client.getTransactionCount({ address: me }), before + 1);
    equal(await client.getTransactionCount({ address: me, blockTag: "earliest" }), 0);
  });
  await check("code", async () => {
    equal(await client.getCode({ address: at.address }), probe.deployedBytecode);
    equal(await client.getCode({ address: at.address, blockNumber: at.deployed.blockNumber - 1n }), undefined);
    equal(await client.getCode({ address: me }), undefined);
    const { nonce } = await client.getTransaction({ hash: at.deployed.transactionHash });
    equal(getContractAddress({ from: me, nonce: BigInt(nonce) }).toLowerCase(), at.address.toLowerCase());
  });
  await check("storage", async () => {
    const read = (slot, blockNumber) => client.getStorageAt({ address: at.address, slot, blockNumber });
    equal(await read("0x0", at.deployed.blockNumber), pad("0x5"));
    equal(await read("0x0", at.deployed.blockNumber - 1n), zeroHash);
    equal(await read(nothing), zeroHash);
  });
  await proofChecks(at);
}

async function proofChecks({ client, me, mined, address, probe: contract }) {
  // The client puts a proof's numbers into its own types; the check takes them as the node wrote them.
  const prove = async (owner, storageKeys, blockNumber) => {
    const found = await client.getProof({ address: owner, storageKeys, blockNumber });
    const { stateRoot } = await client.getBlock({ blockNumber });
    const storageProof = found.storageProof.map(({ key, value, proof }) => ({ key, value, proof }));
    return { ...found, present: await checkProof({ ...found, storageProof }, stateRoot) };
  };
  await check("proof-account", async () => {
    const { blockNumber } = await mined(client.sendTransaction({ to: address, value: 3n }));
    const proof = await prove(me, [], blockNumber);
    equal([proof.present, proof.balance], [true, await client.getBalance({ address: me, blockNumber })]);
    equal(proof.nonce, await client.getTransactionCount({ address: me, blockNumber }));
    const made = await prove(address, [], blockNumber);
    equal([made.present, made.codeHash], [true, keccak256(probe.deployedBytecode)]);
  });
  await check("proof-storage", async () => {
    await mined(contract.write.put([1n, 1001n]));
    const { blockNumber } = await mined(contract.write.put([2n, 2002n]));
    const slots = [1, 2, 3].map((key) => keccak256(pad(toHex(key)) + pad("0x1").slice(2)));
    const { present, storageProof } = await prove(address, slots, blockNumber);
    equal([present, storageProof.map(({ value }) => value)], [true, [1001n, 2002n, 0n]]);
    const before = await prove(address, slots, blockNumber - 1n);
    equal(before.storageProof.map(({ value }) => value), [1001n, 0n, 0n]);
  });
  await check("proof-absent", async () => {
    const { present, storageProof } = await prove(privateKeyToAddress(generatePrivateKey()), [zeroHash], await client.getBlockNumber());
    equal([present, storageProof[0].value], [false, 0n]);
  });
}
