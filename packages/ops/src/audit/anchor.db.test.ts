import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../logging/index.ts';
import { createMetrics, opsCatalogue } from '../metrics/index.ts';
import { type AnchorStore, decisiveAnchors, openAnchorer, openAnchorStore, readAnchors } from './index.ts';
import { type AuditWorld, openAuditWorld } from './audit.fixture.ts';

let world: AuditWorld;
let directory: string;
beforeEach(async () => {
  world = await openAuditWorld();
  directory = await mkdtemp(join(tmpdir(), 'fmhl-anchor-'));
});
afterEach(async () => {
  await world.close();
  await rm(directory, { recursive: true });
});

const file = () => join(directory, 'anchor.jsonl');
const holding = { hold: async () => true, resign: async () => {} };

/** A loop that looks every few ms, at a time that the test sets. */
function openLoop(store: AnchorStore, lease = holding) {
  const lines: string[] = [];
  const names = { service: 'test', version: 'test', instance: 'test', bootId: 'test' };
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ level: 'debug', format: 'json', ...names, destination });
  const metrics = createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: [], version: '1', commit: '1' });
  const clock = { now: new Date('2026-01-31T12:00:00Z') };
  const timing = { everyMs: 3_600_000, checkEveryMs: 5, now: () => clock.now };
  const loop = openAnchorer({ db: world.db, store, lease, log, metrics, ...timing });
  const later = (hours: number) => (clock.now = new Date(clock.now.getTime() + hours * 3_600_000));
  const lastSuccess = () => metrics.value('audit_anchor_last_success_timestamp_seconds');
  return { loop, lines, metrics, later, lastSuccess, succeeded: () => lastSuccess() === clock.now.getTime() / 1_000 };
}

describe('an anchor', () => {
  it('is written once an hour, after what is there already, where something was linked since', async () => {
    const { loop, later, succeeded } = openLoop(openAnchorStore(file()));
    await world.chain(3);
    await loop.start();
    await vi.waitUntil(succeeded);
    await world.chain(2);
    later(1);
    await vi.waitUntil(succeeded);
    later(1);
    await vi.waitUntil(succeeded);
    await loop.stop();
    const anchors = readAnchors(await readFile(file(), 'utf8'));
    expect(anchors.map(({ n, at }) => [n, at])).toEqual([
      [3, '2026-01-31T12:00:00.000Z'],
      [5, '2026-01-31T13:00:00.000Z'],
    ]);
    expect(await world.verify({ anchors })).toMatchObject({ ok: true, anchor: { count: 2, n: 5 } });
    expect((await stat(file())).mode & 0o777).toBe(0o600);
  });

  it('waits for its hour after a start, and leaves the work to the holder of the lease', async () => {
    await world.chain(1);
    const first = openLoop(openAnchorStore(file()));
    await first.loop.start();
    await vi.waitUntil(first.succeeded);
    await first.loop.stop();
    await world.chain(1);
    const looks = vi.fn(async () => true);
    const second = openLoop(openAnchorStore(file()), { ...holding, hold: looks });
    await second.loop.start();
    await vi.waitUntil(() => looks.mock.calls.length > 3);
    await second.loop.stop();
    const idle = vi.fn(async () => false);
    const third = openLoop(openAnchorStore(file()), { ...holding, hold: idle });
    third.later(2);
    await third.loop.start();
    await vi.waitUntil(() => idle.mock.calls.length > 3);
    await third.loop.stop();
    expect(readAnchors(await readFile(file(), 'utf8'))).toHaveLength(1);
  });

  it('says when the chain is not the one it wrote down, and writes down what is there', async () => {
    const { loop, lines, later, metrics, succeeded } = openLoop(openAnchorStore(file()));
    await world.chain(3);
    await loop.start();
    await vi.waitUntil(succeeded);
    await world.tamper('delete from ops.audit_log where seq = 3; delete from ops.audit_chain where n = 3');
    later(1);
    await vi.waitUntil(succeeded);
    await loop.stop();
    expect(metrics.value('audit_chain_faults_total', { kind: 'anchor_differs' })).toBe(1);
    expect(lines.join('')).toContain('"audit_chain_broken"');
    const anchors = readAnchors(await readFile(file(), 'utf8'));
    expect(anchors.map(({ n, breaks }) => [n, breaks])).toEqual([
      [3, undefined],
      [2, 3],
    ]);
    expect((await world.verify({ anchors })).fault).toMatchObject({ kind: 'tail_cut', n: 3 });
  });

  it('tells of rows that were rewritten and linked anew, after the chain has outgrown them', async () => {
    const { loop, later, succeeded } = openLoop(openAnchorStore(file()));
    await world.chain(10);
    await loop.start();
    await vi.waitUntil(succeeded);
    // Who may write tables needs no key for this: the linker seals what it is given.
    await world.tamper(`delete from ops.audit_chain where n >= 4; update ops.audit_log set reason = 'another' where seq = 4;
      insert into ops.audit_pending select generate_series(4, 10)`);
    await world.chain(10);
    later(1);
    await vi.waitUntil(succeeded);
    await world.chain(5);
    later(1);
    await vi.waitUntil(succeeded);
    await loop.stop();
    expect(await world.verify()).toMatchObject({ ok: true, checked: 25 });
    const anchors = decisiveAnchors(readAnchors(await readFile(file(), 'utf8')), 2);
    expect(anchors.map(({ n }) => n)).toEqual([10, 25]);
    expect((await world.verify({ anchors })).fault).toMatchObject({ kind: 'restored', n: 10 });
  });

  it('tells of an older database in which work went on past what it had', async () => {
    const { loop, later, succeeded } = openLoop(openAnchorStore(file()));
    await world.chain(10);
    await loop.start();
    await vi.waitUntil(succeeded);
    await world.tamper(`delete from ops.audit_log where seq > 5; delete from ops.audit_chain where n > 5;
      select setval('ops.audit_log_seq_seq', 5)`);
    await world.chain(15);
    later(1);
    await vi.waitUntil(succeeded);
    await loop.stop();
    const anchors = decisiveAnchors(readAnchors(await readFile(file(), 'utf8')), 2);
    expect((await world.verify({ anchors })).fault).toMatchObject({ kind: 'restored', n: 10 });
  });

  it('that cannot be written is a line and a number, until it can', async () => {
    const place = join(directory, 'missing', 'anchor.jsonl');
    const { loop, lines, metrics, succeeded } = openLoop(openAnchorStore(place));
    await world.chain(1);
    await loop.start();
    await vi.waitUntil(() => (metrics.value('audit_anchor_failures_total') ?? 0) > 0);
    await (await import('node:fs/promises')).mkdir(join(directory, 'missing'));
    await vi.waitUntil(succeeded);
    await loop.stop();
    expect(lines.join('')).toContain('"audit_anchor_failed"');
    expect(readAnchors(await readFile(place, 'utf8'))).toHaveLength(1);
  });
});

describe('the place of an anchor', () => {
  it('is a file that is put aside when it is large, and bounded so', async () => {
    const store = openAnchorStore(file(), { maxBytes: 100 });
    for (let n = 0; n < 50; n += 1) await store.append(`line ${n} ${'x'.repeat(20)}`);
    const sizes = await Promise.all([stat(file()), stat(`${file()}.1`)]);
    expect(Math.max(...sizes.map(({ size }) => size))).toBeLessThan(150);
    expect((await store.read()).trim().split('\n').at(-1)).toMatch(/^line 49 /);
    expect((await stat(`${file()}.1`)).mode & 0o777).toBe(0o600);
  });

  it('is empty where nothing was written', async () => {
    expect(await openAnchorStore(file()).read()).toBe('');
  });

  it('is an address that takes lines, and may show them', async () => {
    const kept: string[] = [];
    const behaviour = { post: 201, get: 200 };
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        if (request.method === 'POST') kept.push(body);
        response.statusCode = request.method === 'POST' ? behaviour.post : behaviour.get;
        response.end(request.method === 'GET' ? kept.join('') : '');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const store = openAnchorStore(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await store.append('one');
    await store.append('two');
    expect(await store.read()).toBe('one\ntwo\n');
    behaviour.get = 405;
    expect(await store.read()).toBe('');
    behaviour.post = 500;
    await expect(store.append('three')).rejects.toThrow('answered 500');
    await new Promise((resolve) => server.close(resolve));
    await expect(store.append('four')).rejects.toThrow('fetch failed');
  });
});
