// One generation of the TypeScript SDK, told by lines of JSON what to do:
//   node worker.mjs PACKAGE   stdin {"id", "do": "upload"|"download", "file", "root"}   stdout {"id", "root"|"error"}
// EVM_RPC, INDEXER_RPC and PRIVATE_KEY name the network. The SDK's own words go to stderr.
import fs from 'node:fs';
import readline from 'node:readline';
import { ethers } from 'ethers';

const { Indexer, ZgFile } = await import(process.argv[2]);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');
console.log = console.error;

const { EVM_RPC, INDEXER_RPC, PRIVATE_KEY } = process.env;
const signer = new ethers.Wallet(PRIVATE_KEY, new ethers.JsonRpcProvider(EVM_RPC));
const indexer = new Indexer(INDEXER_RPC);

async function upload({ file }) {
  const handle = await ZgFile.fromFilePath(file);
  const [tree, treeError] = await handle.merkleTree();
  if (treeError) throw treeError;
  const [done, error] = await indexer.upload(handle, EVM_RPC, signer);
  await handle.close();
  if (error) throw error;
  return { root: tree.rootHash(), tx: typeof done === 'string' ? done : done.txHash };
}

async function download({ root, file }) {
  fs.rmSync(file, { force: true });
  const error = await indexer.download(root, file, true);
  if (error) throw error;
  return { root };
}

const jobs = { upload, download };
for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  try {
    say({ id: job.id, ...(await jobs[job.do](job)) });
  } catch (error) {
    say({ id: job.id, error: String(error?.message ?? error) + (error?.data ? ` (${JSON.stringify(error.data)})` : '') });
  }
}
process.exit(0);
