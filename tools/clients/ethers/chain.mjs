// Blocks, accounts and proofs.
import { Wallet, ZeroHash, getCreateAddress, id, keccak256, parseEther, toBeHex, toQuantity } from "ethers";
import { checkProof, headerHash } from "../ethereum.mjs";
import { GENESIS_BALANCE, atOneBlock, chainId, check, config, equal, failure, failsWith, ok, probe, words } from "../harness.mjs";

export async function chainChecks(at) {
  const { provider, wallet } = at;

  await check("chain-id", async () => {
    equal((await provider.getNetwork()).chainId, BigInt(chainId));
    equal(await provider.send("net_version", []), String(chainId));
  });
  await check("client-version", async () => {
    ok(/^\w+\/v?\d+\.\d+/.test(await provider.send("web3_clientVersion", [])));
    equal(await provider.send("web3_sha3", ["0x1234"]), keccak256("0x1234"));
  });
  await check("syncing", async () => equal(await provider.send("eth_syncing", []), false));
  await check("block-number", async () => {
    const before = await provider.getBlockNumber();
    const { blockNumber } = await (await wallet.sendTransaction({ to: wallet.address })).wait();
    ok(before < blockNumber && blockNumber <= (await provider.getBlockNumber()));
  });
  await check("block", async () => {
    const block = await provider.getBlock(at.deployed.blockNumber);
    equal(block.hash, at.deployed.blockHash);
    equal((await provider.getBlock(block.hash)).toJSON(), block.toJSON());
    equal((await provider.getBlock(block.number - 1)).hash, block.parentHash);
    ok(block.timestamp >= (await provider.getBlock(block.number - 1)).timestamp);
    ok(block.gasUsed >= at.deployed.gasUsed && block.gasUsed <= block.gasLimit);
  });
  await check("block-hash", async () => {
    for (const number of ["0x0", toQuantity(at.deployed.blockNumber), "latest"]) {
      const block = await provider.send("eth_getBlockByNumber", [number, false]);
      equal(headerHash(block), block.hash);
    }
  });
  await check("block-tags", async () => {
    await atOneBlock(() => provider.getBlockNumber(), async (number) => {
      const [latest, safe, finalized, pending] = await Promise.all(
        ["latest", "safe", "finalized", "pending"].map((tag) => provider.getBlock(tag)),
      );
      equal(latest.number, number);
      ok(finalized.number <= safe.number && safe.number <= latest.number);
      equal((await provider.getBlock(finalized.number)).hash, finalized.hash);
      equal([pending.number, pending.parentHash], [latest.number + 1, latest.hash]);
    });
    const earliest = await provider.getBlock("earliest");
    equal([earliest.number, earliest.parentHash], [0, ZeroHash]);
  });
  await check("block-transactions", async () => {
    const { blockNumber: number, blockHash, hash, index } = at.deployed;
    const block = await provider.getBlock(blockHash, true);
    const found = block.prefetchedTransactions[index];
    equal([found.hash, found.from, found.to, found.value], [hash, wallet.address, null, parseEther("1")]);
    const [at0, at1] = [toBeHex(index), toBeHex(number)].map((hex) => `0x${BigInt(hex).toString(16)}`);
    const whole = await provider.send("eth_getTransactionByHash", [hash]);
    equal(await provider.send("eth_getTransactionByBlockHashAndIndex", [blockHash, at0]), whole);
    equal(await provider.send("eth_getTransactionByBlockNumberAndIndex", [at1, at0]), whole);
    const count = `0x${block.length.toString(16)}`;
    equal(await provider.send("eth_getBlockTransactionCountByHash", [blockHash]), count);
    equal(await provider.send("eth_getBlockTransactionCountByNumber", [at1]), count);
  });
  await check("block-receipts", async () => {
    const receipts = await provider.send("eth_getBlockReceipts", [at.deployed.blockHash]);
    const one = await provider.send("eth_getTransactionReceipt", [at.deployed.hash]);
    equal(receipts[at.deployed.index], one);
    equal(receipts.length, (await provider.getBlock(at.deployed.blockHash)).length);
  });
  await check("unknown", async () => {
    const none = id("nothing");
    equal(await provider.getBlock(1e9), null);
    equal(await provider.getBlock(none), null);
    equal(await provider.getTransaction(none), null);
    equal(await provider.getTransactionReceipt(none), null);
  });
  await check("batch", async () => {
    const owners = config.accounts.map(({ address }) => address);
    const many = await Promise.all(owners.map((owner) => provider.getBalance(owner, "earliest")));
    equal(many, owners.map(() => GENESIS_BALANCE));
    const [version, refused] = await Promise.allSettled([provider.send("net_version", []), provider.send("eth_nothing", [])]);
    equal([version.status, version.value, refused.status], ["fulfilled", String(chainId), "rejected"]);
  });
  await check("method-unknown", async () => {
    const error = await failure(provider.send("eth_nothing", []));
    equal([error.code, error.info?.error.code], ["UNSUPPORTED_OPERATION", -32601]);
  });
  await check("params-bad", async () => {
    for (const params of [[], ["0x12", "latest"], [wallet.address, "newest"]]) {
      ok(words(await failure(provider.send("eth_getBalance", params))).includes("-32602"), JSON.stringify(params));
    }
  });
  await check("no-names", () => failsWith(wallet.sendTransaction({ to: "lode.eth" }), /network does not support ENS/));
}

export async function accountChecks(at) {
  const { provider, wallet } = at;
  const fresh = Wallet.createRandom(provider);

  await check("balance", async () => {
    const sent = await (await wallet.sendTransaction({ to: fresh.address, value: 12345n })).wait();
    equal(await provider.getBalance(fresh.address), 12345n);
    equal(await provider.getBalance(fresh.address, sent.blockNumber), 12345n);
    equal(await provider.getBalance(fresh.address, sent.blockNumber - 1), 0n);
    const before = await provider.getBalance(wallet.address, sent.blockNumber - 1);
    equal(await provider.getBalance(wallet.address, sent.blockNumber), before - 12345n - sent.fee);
    equal(await provider.getBalance(wallet.address, "earliest"), GENESIS_BALANCE);
  });
  await check("nonce", async () => {
    const before = await provider.getTransactionCount(wallet.address);
    equal(await provider.getTransactionCount(wallet.address, "pending"), before);
    await (await wallet.sendTransaction({ to: fresh.address, nonce: before })).wait();
    equal(await provider.getTransactionCount(wallet.address), before + 1);
    equal(await provider.getTransactionCount(wallet.address, "earliest"), 0);
    equal(await provider.getTransactionCount(at.address), 1);
  });
  await check("code", async () => {
    equal(await provider.getCode(at.address), probe.deployedBytecode);
    equal(await provider.getCode(at.address, at.deployed.blockNumber - 1), "0x");
    equal(await provider.getCode(wallet.address), "0x");
    const creator = { from: wallet.address, nonce: (await provider.getTransaction(at.deployed.hash)).nonce };
    equal(getCreateAddress(creator), at.address);
  });
  await check("storage", async () => {
    equal(await provider.getStorage(at.address, 0, at.deployed.blockNumber), toBeHex(5, 32));
    equal(await provider.getStorage(at.address, 0, at.deployed.blockNumber - 1), ZeroHash);
    equal(await provider.getStorage(at.address, id("nowhere")), ZeroHash);
  });
  await proofChecks(at);
}

async function proofChecks({ provider, wallet, probe: contract, address }) {
  const prove = async (owner, slots, number) => {
    const tag = `0x${number.toString(16)}`;
    const proof = await provider.send("eth_getProof", [owner, slots, tag]);
    const { stateRoot } = await provider.send("eth_getBlockByNumber", [tag, false]);
    equal(proof.address.toLowerCase(), owner.toLowerCase());
    return { proof, present: await checkProof(proof, stateRoot) };
  };
  await check("proof-account", async () => {
    const sent = await (await wallet.sendTransaction({ to: address, value: 3n })).wait();
    const { proof, present } = await prove(wallet.address, [], sent.blockNumber);
    equal(present, true);
    equal(BigInt(proof.balance), await provider.getBalance(wallet.address, sent.blockNumber));
    equal(Number(proof.nonce), await provider.getTransactionCount(wallet.address, sent.blockNumber));
    const made = await prove(address, [], sent.blockNumber);
    equal([made.present, made.proof.codeHash], [true, keccak256(probe.deployedBytecode)]);
  });
  await check("proof-storage", async () => {
    await (await contract.put(1, 1001)).wait();
    const sent = await (await contract.put(2, 2002)).wait();
    const slots = [1, 2, 3].map((key) => keccak256(toBeHex(key, 32) + toBeHex(1, 32).slice(2)));
    const { proof, present } = await prove(address, slots, sent.blockNumber);
    equal([present, proof.storageProof.map(({ value }) => Number(value))], [true, [1001, 2002, 0]]);
    const before = await prove(address, slots, sent.blockNumber - 1);
    equal(before.proof.storageProof.map(({ value }) => Number(value)), [1001, 0, 0]);
  });
  await check("proof-absent", async () => {
    const { present } = await prove(Wallet.createRandom().address, [ZeroHash], await provider.getBlockNumber());
    equal(present, false);
  });
}
