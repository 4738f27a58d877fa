// Stands between the clients and the chain, passes everything on unchanged, and notes what was asked
// and answered: which methods a client uses, and what went over the wire when a check failed. For
// mutants.mjs it changes answers over HTTP.
import { Agent, createServer, request } from "node:http";
import WebSocket, { WebSocketServer } from "ws";

/** Exchanges that are kept for a check that fails. */
const KEPT_MAX = 200;

/** A proxy before the chain at `rpc` and `ws`: its addresses, and what it notes. */
export async function proxy({ rpc, ws }) {
  const notes = new Notes();
  const between = { notes, alter: null };
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, answer) => passHttp(rpc, agent, between, incoming, answer));
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (client) => passSocket(ws, notes, client));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${server.address().port}`;
  return Object.assign(between, { rpc: `http://${host}`, ws: `ws://${host}` });
}

function passHttp(rpc, agent, between, incoming, answer) {
  const { notes } = between;
  const parts = [];
  incoming.on("data", (part) => parts.push(part));
  incoming.on("end", () => {
    const body = Buffer.concat(parts);
    const headers = { ...incoming.headers, host: new URL(rpc).host };
    const outgoing = request(rpc, { method: incoming.method, headers, agent }, (reply) => {
      const replied = [];
      reply.on("data", (part) => replied.push(part));
      reply.on("end", () => {
        const given = Buffer.concat(replied);
        const bytes = between.alter ? Buffer.from(altered(between.alter, notes, body.toString(), given.toString())) : given;
        notes.exchange(body.toString(), bytes.toString());
        const { "transfer-encoding": _, ...rest } = reply.headers;
        answer.writeHead(reply.statusCode, { ...rest, "content-length": bytes.length });
        answer.end(bytes);
      });
    });
    outgoing.on("error", (error) => {
      notes.exchange(body.toString(), String(error));
      answer.destroy();
    });
    outgoing.end(body);
  });
}

/** An answer whose results `alter` was asked about, by their methods. */
function altered(alter, notes, asked, given) {
  const methods = new Map(notes.calls(asked).map(({ id, method }) => [id, method]));
  const change = (answer) => ("result" in answer ? { ...answer, result: alter(methods.get(answer.id), answer.result) } : answer);
  const whole = JSON.parse(given);
  return JSON.stringify(Array.isArray(whole) ? whole.map(change) : change(whole));
}

function passSocket(ws, notes, client) {
  const chain = new WebSocket(ws);
  const opened = new Promise((resolve) => chain.on("open", resolve));
  const asked = new Map();
  client.on("message", async (data) => {
    const text = data.toString();
    for (const { id } of notes.calls(text)) asked.set(id, text);
    await opened;
    chain.send(text);
  });
  chain.on("message", (data) => {
    const text = data.toString();
    const answered = notes.answers(text).find(({ id }) => asked.has(id));
    notes.exchange(answered ? asked.get(answered.id) : "", text);
    client.send(text);
  });
  client.on("close", () => chain.terminate());
  chain.on("close", () => client.terminate());
  chain.on("error", () => client.terminate());
}

/** What was asked and answered. */
class Notes {
  constructor() {
    this.recent = [];
    this.methods = new Map();
  }

  calls(text) {
    return list(text).filter(({ method }) => typeof method === "string");
  }

  answers(text) {
    return list(text).filter(({ id, method }) => id !== undefined && method === undefined);
  }

  exchange(asked, answered) {
    this.recent.push([asked, answered]);
    this.recent.splice(0, this.recent.length - KEPT_MAX);
    const answers = new Map(this.answers(answered).map((answer) => [answer.id, answer]));
    for (const { id, method } of this.calls(asked)) {
      const seen = this.methods.get(method) ?? { answered: 0, unknown: 0 };
      const answer = answers.get(id);
      seen.answered += answer && !answer.error ? 1 : 0;
      seen.unknown += answer?.error?.code === -32601 ? 1 : 0;
      this.methods.set(method, seen);
    }
  }

  /** Takes what was exchanged since it was last taken. */
  takeRecent() {
    return this.recent.splice(0);
  }

  /** Takes the methods that were asked for since they were last taken. */
  takeMethods() {
    const methods = this.methods;
    this.methods = new Map();
    return methods;
  }
}

function list(text) {
  try {
    return [JSON.parse(text)].flat().filter((item) => item !== null && typeof item === "object");
  } catch {
    return [];
  }
}
