// What a user of the TypeScript SDK does first: files of the sizes where the tree changes its shape,
// deduplication, both encryptions, fragments, tags, an unknown root.
//   smoke.mjs CONFIG [SLICES]      CONFIG is what `lode devnet --config-out` wrote
// The SDK hangs when the slices of a blob do not have equally many chunks (0G wire, 4.2, bug A): with
// several slices, sizes are such that they have.
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Indexer, MemData, ZgFile } from '@0gfoundation/0g-ts-sdk';
import { ethers } from 'ethers';

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const slices = Number(process.argv[3] ?? 1);
const CASE_MS = 120_000;
const say = (text) => process.stdout.write(text + '\n');
console.log = console.error = () => {}; // the SDK is chatty

const signer = new ethers.Wallet(config.accounts[0].private_key, new ethers.JsonRpcProvider(config.chain.rpc));
const indexer = new Indexer(config.indexer);
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'smoke-'));
const must = (holds, why) => { if (!holds) throw new Error(why); };
const value = ([found, error]) => { if (error) throw error; return found; };
const bytes = (size) => crypto.randomBytes(size);
const upload = async (data, options) => value(await indexer.upload(data, config.chain.rpc, signer, options));
const blob = async (root, options) => Buffer.from(await value(await indexer.downloadToBlob(root, options)).arrayBuffer());
const same = (a, b) => must(Buffer.compare(a, b) === 0, 'other bytes came back');

const cases = [];
const sizes = slices === 1
  ? [1, 255, 256, 257, 1024, 1025, 262143, 262144, 262145, 1048577]
  : [1, 257, 262143, 262144, 262144 * slices, 262144 * slices * 2, 262144 * slices * 2 - 5];
for (const size of sizes) {
  cases.push([`file of ${size} B`, async () => {
    const [source, copy] = [path.join(dir, 'source'), path.join(dir, 'copy')];
    const data = bytes(size);
    fs.writeFileSync(source, data);
    const file = await ZgFile.fromFilePath(source);
    const tree = value(await file.merkleTree());
    const done = await upload(file);
    await file.close();
    must(done.rootHash === tree.rootHash(), 'another root');
    fs.rmSync(copy, { force: true });
    const error = await indexer.download(done.rootHash, copy, true);
    if (error) throw error;
    same(data, fs.readFileSync(copy));
  }]);
}
cases.push(['the same file again costs nothing', async () => {
  const data = new MemData(bytes(5000));
  const [one, two] = [await upload(data), await upload(data)];
  must(one.txHash && !two.txHash && one.txSeq === two.txSeq, 'it was submitted again');
}]);
const even = 262144 * slices - 100;
cases.push(['encrypted by a key', async () => {
  const [key, data] = [crypto.randomBytes(32), bytes(even)];
  const { rootHash } = await upload(new MemData(data), { encryption: { type: 'aes256', key } });
  same(data, await blob(rootHash, { decryption: { symmetricKey: key } }));
  value(await indexer.peekHeader(rootHash));
}]);
cases.push(['encrypted to a wallet', async () => {
  const data = bytes(even);
  const recipientPubKey = signer.signingKey.compressedPublicKey;
  const { rootHash } = await upload(new MemData(data), { encryption: { type: 'ecies', recipientPubKey } });
  same(data, await blob(rootHash, { decryption: { privateKey: config.accounts[0].private_key } }));
}]);
cases.push(['four fragments', async () => {
  const data = bytes(900_000);
  const { rootHashes } = await upload(new MemData(data), { fragmentSize: 262144 });
  must(rootHashes?.length === 4, 'not four');
  const [cwd, copy] = [process.cwd(), path.join(dir, 'fragments')];
  process.chdir(dir); // the SDK writes its parts here
  const error = await indexer.download(rootHashes, copy, true);
  process.chdir(cwd);
  if (error) throw error;
  await new Promise((done) => setTimeout(done, 200)); // it does not wait for the end of its own write
  same(data, fs.readFileSync(copy));
}]);
cases.push(['tags, ten chunks in a request, a fee of its own', async () => {
  const data = bytes(slices === 1 ? 700_000 : 262144 * slices * 2);
  const { rootHash } = await upload(new MemData(data), { tags: '0x1234abcd', taskSize: 10, fee: ethers.parseEther('0.01') });
  same(data, await blob(rootHash));
}]);
cases.push(['an unknown root is an error', async () => {
  const error = await indexer.download('0x' + '99'.repeat(32), path.join(dir, 'none'), false).catch((thrown) => thrown);
  must(error instanceof Error, 'none');
}]);

let passed = 0, failed = 0;
for (const [name, run] of cases) {
  const began = Date.now();
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error(`no end within ${CASE_MS} ms`)), CASE_MS).unref());
  try {
    await Promise.race([run(), late]);
    passed++;
    say(`ok   ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed++;
    say(`FAIL ${name}: ${error?.message ?? error} ${error?.data ? JSON.stringify(error.data) : ''}`);
  }
}
fs.rmSync(dir, { recursive: true, force: true });
say(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
