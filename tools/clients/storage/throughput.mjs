// How fast one large file goes up and down: by the TypeScript SDK against the floor (floor.mjs) and
// against a node of ours, and by our own client through both lanes; all in one run, on one machine.
//   throughput.mjs CONFIG [MIB]      CONFIG is what `lode devnet --config-out` wrote; LODE is our program
// Prints MB/s, processor seconds per GB of the client and of the node, and the node's peak memory.
import { execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const mib = Number(process.argv[3] ?? 1024);
const lode = process.env.LODE;
const dir = fs.mkdtempSync(path.join(process.env.SCRATCH ?? os.tmpdir(), 'throughput-'));
const source = path.join(dir, 'source');
const bytes = mib * 1024 * 1024;
const gb = bytes / 1e9;
const ticks = 100;

function fresh() {
  const out = fs.openSync(source, 'w');
  for (let at = 0; at < mib; at += 16) fs.writeSync(out, crypto.randomBytes(Math.min(16, mib - at) * 1024 * 1024));
  fs.fsyncSync(out);
  fs.closeSync(out);
}

/** Processor seconds of a process so far, and its peak memory in MiB. */
function spent(pid) {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const peak = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  return { cpu: (Number(stat[11]) + Number(stat[12])) / ticks, peak: Number(peak[1]) / 1024 };
}

const results = [];
const line = (what, seconds, client, node) => {
  const row = { what, mb_s: bytes / 1e6 / seconds, client_s_gb: client.cpu / gb, client_mib: client.peak, ...(node && { node_s_gb: node.cpu / gb, node_mib: node.peak }) };
  results.push(row);
  const words = [`${row.mb_s.toFixed(0).padStart(5)} MB/s`, `client ${row.client_s_gb.toFixed(2)} s/GB ${client.peak.toFixed(0)} MiB`];
  if (node) words.push(`node ${row.node_s_gb.toFixed(2)} s/GB ${node.peak.toFixed(0)} MiB`);
  console.log(`${what.padEnd(44)} ${words.join('  ')}`);
};

const here = import.meta.dirname;
async function sdk(indexer, job) {
  const env = { ...process.env, EVM_RPC: config.chain.rpc, INDEXER_RPC: indexer, PRIVATE_KEY: config.accounts[4].private_key };
  const worker = spawn(process.execPath, ['--max-old-space-size=8192', path.join(here, 'worker.mjs'), '@0gfoundation/0g-ts-sdk'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  const began = performance.now();
  worker.stdin.write(JSON.stringify({ id: 1, ...job }) + '\n');
  const [answer] = await Promise.race([
    new Promise((tell) => readline.createInterface({ input: worker.stdout }).once('line', (text) => tell([JSON.parse(text)]))),
    new Promise((_, fail) => worker.once('exit', (code) => fail(new Error(`the SDK has ended with ${code}`)))),
  ]);
  const seconds = (performance.now() - began) / 1000;
  const client = spent(worker.pid);
  worker.removeAllListeners('exit');
  worker.kill();
  if (answer.error) throw new Error(answer.error);
  return { seconds, client, root: answer.root };
}

async function ours(args) {
  const began = performance.now();
  const child = spawn(lode, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '', client = { cpu: 0, peak: 0 };
  child.stdout.on('data', (text) => { out += text; });
  const look = setInterval(() => { try { client = spent(child.pid); } catch { /* it has just ended */ } }, 20);
  const code = await new Promise((tell) => child.once('exit', tell));
  clearInterval(look);
  if (code !== 0) throw new Error(`lode ${args[0]} has ended with ${code}: ${out}`);
  return { seconds: (performance.now() - began) / 1000, client, out: out.trim() };
}

// The node that serves everything; its process is found by its port.
const port = new URL(config.api).port;
const node = execFileSync('pgrep', ['-f', `lode.* node .*--listen 127.0.0.1:${port}`]).toString().trim().split('\n')[0];
const during = async (run) => {
  const before = spent(node);
  const done = await run();
  const after = spent(node);
  return { ...done, node: { cpu: after.cpu - before.cpu, peak: after.peak } };
};

const floor = spawn(process.execPath, [path.join(here, 'floor.mjs'), config.chain.rpc], { stdio: ['ignore', 'pipe', 'inherit'] });
const { indexer } = await new Promise((tell) => readline.createInterface({ input: floor.stdout }).once('line', (text) => tell(JSON.parse(text))));

const key = path.join(dir, 'key');
fs.writeFileSync(key, config.accounts[5].private_key, { mode: 0o600 });
const copy = path.join(dir, 'copy');
const same = () => execFileSync('cmp', [source, copy]);

fresh();
const floorUp = await sdk(indexer, { do: 'upload', file: source });
line('SDK up, floor', floorUp.seconds, floorUp.client);
const floorDown = await sdk(indexer, { do: 'download', root: floorUp.root, file: copy });
if (fs.statSync(copy).size !== bytes) throw new Error(`the floor gave ${fs.statSync(copy).size} bytes`);
line('SDK down, floor', floorDown.seconds, floorDown.client);
floor.kill();
fresh();
const sdkUp = await during(() => sdk(config.indexer, { do: 'upload', file: source }));
line('SDK up, our node', sdkUp.seconds, sdkUp.client, sdkUp.node);
const sdkDown = await during(() => sdk(config.indexer, { do: 'download', root: sdkUp.root, file: copy }));
line('SDK down, our node', sdkDown.seconds, sdkDown.client, sdkDown.node);
same();
fs.rmSync(copy);
fresh();
const direct = await during(() => ours(['submit', source, '--quiet', '--node', config.api, '--zgs', config.nodes[0].zgs, '--chain', config.chain.rpc, '--private-key', key, '--state', path.join(dir, 'state')]));
line('our client up, direct lane', direct.seconds, direct.client, direct.node);
fresh();
const batch = await during(() => ours(['put', source, '--quiet', '--node', config.api, '--wait', 'final']));
line('our client up, batch lane, until final', batch.seconds, batch.client, batch.node);
fs.rmSync(copy, { force: true });
const down = await during(() => ours(['get', batch.out.split(/\s/)[0], '-o', copy, '--quiet', '--node', config.api]));
line('our client down', down.seconds, down.client, down.node);
same();

const times = (value) => `${value.toFixed(2)}×`;
console.log(`the node adds ${((sdkUp.seconds / floorUp.seconds - 1) * 100).toFixed(0)} % to the SDK's upload, ${((sdkDown.seconds / floorDown.seconds - 1) * 100).toFixed(0)} % to its download`);
console.log(`our client against the SDK: up ${times(sdkUp.seconds / direct.seconds)} (direct), ${times(sdkUp.seconds / batch.seconds)} (batch), down ${times(sdkDown.seconds / down.seconds)}`);
console.log(JSON.stringify({ bytes, results }));
fs.rmSync(dir, { recursive: true, force: true });
