/** Processes of the benchmark, and what their answers take over one connection that stays open. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { messageOf } from './child-messages.ts';
import type { Role, ServerMessage } from './dlq-server.ts';

export interface BenchProcess {
  readonly url: string;
  /** Resident memory, in MB. */
  memory(): Promise<number>;
  stop(): Promise<void>;
}

export async function openProcess(role: Role, urls: { databaseUrl: string; redisUrl: string }): Promise<BenchProcess> {
  const child = fork(fileURLToPath(new URL('./dlq-server.ts', import.meta.url)), [
    role,
    urls.databaseUrl,
    urls.redisUrl,
  ]);
  const answer = () => messageOf<ServerMessage>(child, `the process ${role}`);
  const { port } = await answer();
  return {
    url: `http://127.0.0.1:${port}`,
    async memory() {
      child.send('memory');
      return ((await answer()).rss ?? Number.NaN) / 1_048_576;
    },
    async stop() {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

export interface Latencies {
  readonly p50: number;
  readonly p95: number;
  readonly most: number;
}

/** Asks for the paths in turn, `amount` times, one request after another, after a tenth to warm up. Throws when one is not answered with 200. */
export async function ask(url: string, paths: readonly string[], amount: number): Promise<Latencies> {
  await load(url, paths, Math.ceil(amount / 10));
  const sorted = (await load(url, paths, amount)).toSorted((one, other) => one - other);
  const percentile = (of: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of) / 100))] ?? Number.NaN;
  return { p50: percentile(50), p95: percentile(95), most: sorted.at(-1) ?? Number.NaN };
}

async function load(url: string, paths: readonly string[], amount: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const took: number[] = [];
  try {
    for (let asked = 0; asked < amount; asked += 1) {
      const path = paths[asked % paths.length] ?? '/';
      const startedAt = performance.now();
      const { status, text } = await read(new URL(path, url), agent);
      took.push(performance.now() - startedAt);
      if (status !== 200) throw new Error(`GET ${path} was answered ${status}: ${text}`);
    }
  } finally {
    agent.destroy();
  }
  return took;
}

/** Ends with the last byte of the answer. */
function read(url: URL, agent: Agent): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString() }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

export const told = ({ p50, p95, most }: Latencies): string =>
  `p50 ${p50.toFixed(2)} ms, p95 ${p95.toFixed(2)}, most ${most.toFixed(1)}`;
