// Uploads files of several sizes by each client, and downloads each by all of them: bytes and roots
// must agree, also with the root that our own program computes offline.
//   pairs.mjs CONFIG [SIZE,…]      CONFIG is what `lode devnet --config-out` wrote; LODE is our program
// Prints a line per upload, and "N passed, M failed" at the end; the exit code says the same.
import { spawn, execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const MIB = 1 << 20;
const sizes = (process.argv[3]?.split(',').map(Number)) ?? [1, 256, 257, 262144, 262145, 5000003, 64 * MIB];
const JOB_MS = 300_000;
const lode = process.env.LODE;
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pairs-'));

/** A client of another make, in a process of its own. */
class Worker {
  constructor(name, command, args, account) {
    const env = { ...process.env, EVM_RPC: config.chain.rpc, INDEXER_RPC: config.indexer, PRIVATE_KEY: account.private_key };
    this.name = name;
    this.log = '';
    this.process = spawn(command, args, { env, cwd: dir, stdio: ['pipe', 'pipe', 'pipe'] });
    this.process.stderr.on('data', (text) => { this.log = (this.log + text).slice(-4000); });
    this.waiting = new Map();
    readline.createInterface({ input: this.process.stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line);
      this.waiting.get(id)?.(answer);
    });
    this.process.on('exit', (code) => this.waiting.forEach((tell) => tell({ error: `${name} has ended with ${code}` })));
  }

  async ask(job) {
    const id = crypto.randomUUID();
    const answer = new Promise((tell) => {
      this.waiting.set(id, tell);
      setTimeout(() => tell({ error: `no answer within ${JOB_MS} ms` }), JOB_MS).unref();
    });
    this.process.stdin.write(JSON.stringify({ id, ...job }) + '\n');
    const { error, ...rest } = await answer;
    this.waiting.delete(id);
    if (error) throw new Error(`${error}\n${this.log}`);
    return rest;
  }
}

const here = import.meta.dirname;
const python = process.env.PYTHON ?? 'python3';
const clients = [
  new Worker('ts 1.2.8', process.execPath, [path.join(here, 'worker.mjs'), '@0gfoundation/0g-ts-sdk'], config.accounts[1]),
  new Worker('ts 0.3.3', process.execPath, [path.join(here, 'worker.mjs'), '@0glabs/0g-ts-sdk'], config.accounts[2]),
  new Worker('python', python, [path.join(here, 'worker.py')], config.accounts[3]),
];

/** Our own: over the native API, and over the indexer's plain HTTP. */
const ours = {
  root: (file) => execFileSync(lode, ['root', file, '--quiet']).toString().trim().split(/\s/)[0],
  get: (root, file) => execFileSync(lode, ['get', root, '-o', file, '--node', config.api, '--quiet']),
  http: async (root, file) => {
    const answer = await fetch(`${config.indexer}/file?root=${root}`);
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
    fs.writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  },
};

let passed = 0, failed = 0;
async function check(name, run) {
  const began = Date.now();
  try {
    await run();
    passed++;
    console.log(`ok   ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}: ${error.message}`);
  }
}

for (const size of sizes) {
  for (const up of clients) {
    const source = path.join(dir, 'source');
    fs.writeFileSync(source, crypto.randomBytes(size));
    // The smallest files are not new each time: they are deduplicated, which is right as well.
    const want = crypto.createHash('sha256').update(fs.readFileSync(source)).digest('hex');
    let root;
    await check(`${size} B up by ${up.name}`, async () => {
      ({ root } = await up.ask({ do: 'upload', file: source }));
      const computed = ours.root(source);
      if (root !== computed) throw new Error(`root ${root}, ours ${computed}`);
    });
    if (!root) continue;
    const same = (file) => {
      const got = crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
      if (got !== want) throw new Error('other bytes');
    };
    for (const down of clients) {
      await check(`  ${size} B up by ${up.name}, down by ${down.name}`, async () => {
        const file = path.join(dir, 'copy');
        await down.ask({ do: 'download', root, file });
        same(file);
      });
    }
    for (const way of ['get', 'http']) {
      await check(`  ${size} B up by ${up.name}, down by ours (${way})`, async () => {
        const file = path.join(dir, 'copy');
        fs.rmSync(file, { force: true });
        await ours[way](root, file);
        same(file);
      });
    }
  }
}
clients.forEach((client) => client.process.kill());
fs.rmSync(dir, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
