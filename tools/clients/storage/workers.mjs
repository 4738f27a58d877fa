// Clients of several makes, each in a process of its own that is told by lines of JSON what to do, and a
// count of what holds.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import path from 'node:path';
import readline from 'node:readline';

const here = import.meta.dirname;
const JOB_MS = 300_000;

/** A client of another make. `account` pays where a job names nobody. */
export class Worker {
  constructor(name, command, args, account, config, cwd) {
    const env = { ...process.env, EVM_RPC: config.chain.rpc, INDEXER_RPC: config.indexer, PRIVATE_KEY: account.private_key };
    this.name = name;
    this.log = '';
    this.process = spawn(command, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
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

/** Both generations of the TypeScript SDK and the Python SDK, by workers `NAME.mjs` and `NAME.py`. */
export function workers(name, config, cwd) {
  const script = path.join(here, `${name}.mjs`);
  const python = process.env.PYTHON ?? 'python3';
  const typescript = (title, npm, number) =>
    new Worker(title, process.execPath, [script, npm], config.accounts[number], config, cwd);
  return [
    typescript('ts 1.2.8', '@0gfoundation/0g-ts-sdk', 1),
    typescript('ts 0.3.3', '@0glabs/0g-ts-sdk', 2),
    new Worker('python', python, [path.join(here, `${name}.py`)], config.accounts[3], config, cwd),
  ];
}

/** Prints what holds and what does not, and counts both. */
export class Checks {
  passed = 0;
  failed = 0;

  async check(name, run) {
    const began = Date.now();
    try {
      await run();
      this.passed++;
      console.log(`ok   ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      this.failed++;
      console.log(`FAIL ${name}: ${error.message}`);
    }
  }

  /** The last line, and the exit code. */
  end() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    process.exit(this.failed ? 1 : 0);
  }
}
