/** Processes of the benchmark, and what their answers take over one connection that stays open. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
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
  const answer = async (): Promise<ServerMessage> => {
    const settled = new AbortController();
    const ended = once(child, 'exit', settled).then(() => {
      throw new Error(`the process ${role} of the benchmark has ended`);
    });
    try {
      const [message] = await Promise.race([once(child, 'message', settled), ended]);
      return message;
    } finally {
      ended.catch(() => {});
      settled.abort();
    }
  };
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

/** Asks for the paths in turn, `amount` times, one request after another. Throws when one is not answered with 2xx. */
export async function ask(url: string, paths: readonly string[], amount: number): Promise<Latencies> {
  await load(url, paths, Math.ceil(amount / 10));
  const sorted = (await load(url, paths, amount)).toSorted((one, other) => one - other);
  const percentile = (of: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of) / 100))] ?? Number.NaN;
  return { p50: percentile(50), p95: percentile(95), most: sorted.at(-1) ?? Number.NaN };
}

async function load(url: string, paths: readonly string[], amount: number): Promise<number[]> {
  const took: number[] = [];
  let asked = 0;
  const setupRequest = () => ({ method: 'GET', path: paths[asked++ % paths.length] ?? '/', headers: {} });
  const cannon = autocannon({ url, connections: 1, amount, requests: [{ setupRequest }] });
  cannon.on('response', (_client, _status, _bytes, ms) => took.push(ms));
  const { errors, timeouts, non2xx } = await cannon;
  if (errors + timeouts + non2xx > 0)
    throw new Error(`of ${amount} requests such as ${paths[0]}, ${errors + timeouts + non2xx} failed`);
  return took;
}

export const told = ({ p50, p95, most }: Latencies): string =>
  `p50 ${p50.toFixed(2)} ms, p95 ${p95.toFixed(2)}, most ${most.toFixed(1)}`;
