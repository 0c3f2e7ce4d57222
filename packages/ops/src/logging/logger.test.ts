import { spawnSync } from 'node:child_process';
import pino from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adoptCorrelation, createLogger, currentContext, type LoggerOptions, runWithContext } from './index.ts';

interface Line {
  level: string;
  event: string;
  correlation_id: string;
  timestamp: string;
  metadata: Record<string, unknown>;
  [key: string]: unknown;
}

function open(options: Partial<LoggerOptions> = {}) {
  const raw: string[] = [];
  const suppressed: string[] = [];
  const log = createLogger({
    level: 'info',
    format: 'json',
    service: 'fmhl-worker',
    version: '1.4.0',
    instance: 'worker-1',
    bootId: 'boot-0001',
    destination: { write: (line) => raw.push(line) },
    onSuppressed: (reason) => suppressed.push(reason),
    ...options,
  });
  return { log, raw, suppressed, lines: () => raw.map((line) => JSON.parse(line) as Line) };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a line', () => {
  const circular: Record<string, unknown> = { id: 1 };
  circular.self = circular;
  const inputs: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['ids and counts', { lead_id: 'a1', count: 3, ok: true }],
    ['undefined, functions, symbols', { a: undefined, b: () => 1, c: Symbol('x') }],
    ['not a number', { rate: Number.NaN, limit: Infinity }],
    ['bigint and date', { cents: 12n, at: new Date(0), never: new Date(Number.NaN) }],
    ['binary', { body: Buffer.from('secret') }],
    ['a circle', circular],
    ['an array', [1, 2, 3]],
    ['map and set', { m: new Map([['a', 1]]), s: new Set([1]) }],
    [
      'an own toJSON',
      {
        a: {
          toJSON: () => {
            throw new Error('no');
          },
        },
      },
    ],
    ['a prototype key', JSON.parse('{"__proto__":{"polluted":true}}')],
    ['lone surrogates and controls', { text: '\ud800 \u0000\n' }],
    ['a level of its own', { level: 'fatal', event: 'x', correlation_id: '' }],
    ['40 levels', Array.from({ length: 40 }).reduce<unknown>((inner) => ({ inner }), 'x')],
    [
      'a throwing getter',
      Object.defineProperty({}, 'x', {
        enumerable: true,
        get: () => {
          throw new RangeError('no');
        },
      }),
    ],
    ['a megabyte of control characters', { text: '\u0001'.repeat(1_000_000) }],
    [
      '10,000 keys',
      Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key_${index}`, '\u0002'.repeat(50)])),
    ],
    ['long texts', Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`key_${index}`, 'é'.repeat(5_000)]))],
  ];

  it.each(inputs)('keeps its shape for %s', (_, metadata) => {
    const { log, raw, lines } = open();
    log.info('process_started', metadata as never);
    log.error('loop_failed', metadata, metadata as never);
    expect(raw).toHaveLength(2);
    for (const text of raw) {
      expect(text.endsWith('\n') && text.indexOf('\n') === text.length - 1).toBe(true);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(16_384);
    }
    for (const line of lines()) {
      expect(Object.keys(line).sort()).toEqual([
        'correlation_id',
        'event',
        'instance',
        'level',
        'metadata',
        'service',
        'timestamp',
        'version',
      ]);
      expect(line.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(new Date(line.timestamp).toISOString()).toBe(line.timestamp);
      expect(line.correlation_id).toBe('boot-0001');
      expect(line.metadata).toBeTypeOf('object');
      expect(Array.isArray(line.metadata)).toBe(false);
      expect(depthOf(line.metadata)).toBeLessThanOrEqual(4);
    }
    expect(lines().map((line) => line.level)).toEqual(['info', 'error']);
  });

  it('names each level in words', () => {
    const { log, lines } = open({ level: 'debug' });
    log.debug('jobs_dispatched');
    log.info('worker_started');
    log.warn('job_attempt_failed');
    log.error('loop_failed', new Error('x'));
    expect(lines().map((line) => line.level)).toEqual(['debug', 'info', 'warn', 'error']);
  });

  it('says truncated when something was left out, and only then', () => {
    const { log, lines } = open();
    log.info('event_consumed', { items: Array.from({ length: 21 }, (_, index) => index) });
    log.info('event_consumed', { text: 'x'.repeat(3_000) });
    log.info('event_consumed', { a: { b: { c: { d: { e: 1 } } } } });
    log.info('event_consumed', { a: { b: { c: 1 } }, items: Array.from({ length: 20 }, () => 0) });
    expect(lines().map((line) => line.metadata.truncated)).toEqual([true, true, true, undefined]);
    expect(lines()[0]?.metadata.items).toHaveLength(20);
    expect(lines()[1]?.metadata.text).toHaveLength(2_048);
  });

  it('becomes a log_error when its metadata cannot be read', () => {
    const { log, lines, suppressed } = open();
    log.info('process_started', {
      get secret() {
        throw new RangeError('no');
      },
    });
    expect(lines()[0]?.metadata).toEqual({ log_error: 'RangeError' });
    expect(suppressed).toEqual(['serialize']);
  });

  it('is lost without harm when the destination throws', () => {
    const { log, suppressed } = open({
      destination: {
        write: () => {
          throw new Error('ENOSPC');
        },
      },
    });
    expect(() => log.info('process_started')).not.toThrow();
    expect(suppressed).toEqual(['destination']);
  });

  it('is lost without harm when the descriptor is closed', () => {
    const { log, suppressed } = open({ destination: 987_654 });
    expect(() => log.info('process_started')).not.toThrow();
    expect(suppressed).toEqual(['destination']);
  });

  it('survives an exit right after it', () => {
    const script = `
      import { createLogger } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
      const log = createLogger({ level: 'info', format: 'json', service: 's', version: 'v', instance: 'i', bootId: 'boot-0001' });
      for (let n = 0; n < 500; n += 1) log.info('worker_started', { n, pad: 'é'.repeat(400) });
      log.error('process_exiting', new Error('last'));
      process.exit(1);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    const written = child.stdout.trimEnd().split('\n');
    expect(child.stderr).toBe('');
    expect(written).toHaveLength(501);
    expect(JSON.parse(written.at(-1) ?? '')).toMatchObject({
      event: 'process_exiting',
      metadata: { error: { message: 'last' } },
    });
  });

  it('has the same fields on a terminal', () => {
    const { log, raw } = open({ format: 'pretty' });
    log.info('worker_started', { queue: 'email_send' });
    expect(raw[0]).toMatch(/INFO.*worker_started.*boot-0001.*email_send/s);
  });
});

describe('the level', () => {
  it('refuses what is no level', () => {
    expect(() => open({ level: 'verbose' as never })).toThrow(RangeError);
    expect(() => open({ sampleRate: 2 })).toThrow(RangeError);
  });

  it('turns to debug for a while, for loggers already handed out too', () => {
    vi.useFakeTimers();
    const { log, raw } = open();
    const inner = log.withCorrelation('lead-0001');
    inner.debug('jobs_dispatched');
    expect(inner.isDebug).toBe(false);
    log.enableDebugFor(60_000);
    inner.debug('jobs_dispatched');
    expect(inner.isDebug).toBe(true);
    vi.advanceTimersByTime(60_000);
    inner.debug('jobs_dispatched');
    expect(raw).toHaveLength(1);
  });
});

describe('the correlation', () => {
  it('is the explicit one, else that of the context, else that of the process', () => {
    const { log, lines } = open();
    runWithContext({ correlationId: 'context-1' }, () => {
      log.info('worker_started');
      log.withCorrelation('explicit-1').info('worker_started');
    });
    log.info('worker_started');
    log.withCorrelation('').info('worker_started');
    expect(lines().map((line) => line.correlation_id)).toEqual(['context-1', 'explicit-1', 'boot-0001', 'boot-0001']);
  });

  it('follows awaits, each piece of work its own', async () => {
    const { log, lines } = open();
    const work = (id: string) =>
      runWithContext({ correlationId: id }, async () => {
        await new Promise((resolve) => setImmediate(resolve));
        log.info('worker_started', { expected: id });
      });
    await Promise.all(['first-0001', 'second-001', 'third-0001'].map(work));
    for (const line of lines()) expect(line.correlation_id).toBe(line.metadata.expected);
  });

  it('brings the id of the request and of the trace when they differ or exist', () => {
    const { log, lines } = open();
    runWithContext({ correlationId: 'lead-0001', requestId: 'request-1', traceId: 't', spanId: 's' }, () => {
      log.info('worker_started');
    });
    runWithContext({ correlationId: 'lead-0001', requestId: 'lead-0001' }, () => log.info('worker_started'));
    expect(lines()[0]).toMatchObject({ metadata: { request_id: 'request-1' }, trace_id: 't', span_id: 's' });
    expect(lines()[1]?.metadata).toEqual({});
    expect(lines()[1]).not.toHaveProperty('trace_id');
  });
});

describe('an adopted correlation', () => {
  it('carries the rest of the work and leaves the first id as that of the request', () => {
    const { log, lines } = open();
    runWithContext({ correlationId: 'request-1' }, () => {
      log.info('worker_started');
      adoptCorrelation('lead-0001');
      log.info('worker_started');
      adoptCorrelation('lead-0002');
      log.info('worker_started');
    });
    adoptCorrelation('lead-0003');
    log.info('worker_started');
    expect(lines().map((line) => [line.correlation_id, line.metadata.request_id])).toEqual([
      ['request-1', undefined],
      ['lead-0001', 'request-1'],
      ['lead-0002', 'request-1'],
      ['boot-0001', undefined],
    ]);
  });
});

describe('the traps of pino', () => {
  it('bleeds fields into later lines when the mixin returns the store; this logger does not', () => {
    const naive: string[] = [];
    const store = { correlation_id: 'context-1' };
    const bare = pino({ mixin: () => store }, { write: (line) => void naive.push(line) });
    bare.info({ metadata: { lead_id: 1 } }, 'first');
    bare.info('second');
    expect(naive[1]).toContain('lead_id');

    const { log, lines } = open();
    runWithContext({ correlationId: 'context-1' }, () => {
      log.info('worker_started', { lead_id: 1 });
      log.info('worker_stopped');
      expect(currentContext()).toEqual({ correlationId: 'context-1' });
    });
    expect(lines()[1]?.metadata).toEqual({});
  });

  it('leaks below the one level a redact path matches; this logger redacts at every depth', () => {
    const naive: string[] = [];
    const bare = pino({ redact: ['*.email'] }, { write: (line) => void naive.push(line) });
    bare.info({ a: { b: { email: 'ann@example.com' } } });
    expect(naive[0]).toContain('ann@example.com');

    const { log, raw } = open();
    log.info('worker_started', {
      email: 'canary',
      a: { email: 'canary', b: { email: 'canary', list: [{ password: 'canary' }] } },
    });
    expect(raw[0]).not.toContain('canary');
  });

  it('moves the ids into metadata with nestedKey; here they stay on top', () => {
    const naive: string[] = [];
    const bare = pino(
      { nestedKey: 'metadata', mixin: () => ({ correlation_id: 'c' }) },
      { write: (line) => void naive.push(line) },
    );
    bare.info({ a: 1 }, 'x');
    expect(JSON.parse(naive[0] ?? '{}').correlation_id).toBeUndefined();

    const { log, lines } = open();
    log.info('worker_started', { a: 1 });
    expect(lines()[0]).toMatchObject({ correlation_id: 'boot-0001', metadata: { a: 1 } });
  });
});

describe('sampling', () => {
  it('does not build the metadata of a dropped line', () => {
    const { log, raw, suppressed } = open({ sampleRate: 0 });
    const build = vi.fn(() => ({}));
    log.sampled('job_completed', build);
    expect(build).not.toHaveBeenCalled();
    expect(raw).toHaveLength(0);
    expect(suppressed).toEqual(['sampled']);
  });

  it('keeps or drops a journey whole, the same in every process, near the rate', () => {
    const kept = [0, 1].map(() => {
      const { log, lines } = open({ sampleRate: 0.1 });
      for (let n = 0; n < 5_000; n += 1) {
        const journey = log.withCorrelation(`journey-${n}`);
        journey.sampled('http_request', { n });
        journey.sampled('job_completed', { n });
      }
      expect(lines().every((line) => line.metadata.sample_rate === 0.1)).toBe(true);
      return lines().map((line) => line.correlation_id);
    });
    expect(kept[0]).toEqual(kept[1]);
    const journeys = new Set(kept[0]);
    expect(kept[0]).toHaveLength(journeys.size * 2);
    expect(journeys.size / 5_000).toBeGreaterThan(0.08);
    expect(journeys.size / 5_000).toBeLessThan(0.12);
  });

  it('always keeps the slow ones, which stand for themselves', () => {
    const { log, lines } = open({ sampleRate: 0 });
    log.sampled('job_completed', { duration_ms: 9_000 }, { slow: true });
    expect(lines()[0]?.metadata).toEqual({ duration_ms: 9_000 });
  });

  it('begins by itself above 50 lines a second and ends when it is quiet again', () => {
    let at = 1_000;
    const { log, lines, suppressed } = open({ now: () => at });
    for (let n = 0; n < 1_000; n += 1) log.withCorrelation(`journey-${n}`).sampled('job_completed', {});
    expect(lines().filter((line) => line.metadata.sample_rate === undefined)).toHaveLength(50);
    expect(suppressed.length).toBeGreaterThan(800);
    log.withCorrelation('other-001').sampled('http_request', {});
    expect(lines().at(-1)?.event).toBe('http_request');
    at += 3_000;
    log.withCorrelation('journey-1').sampled('job_completed', {});
    expect(lines().at(-1)?.metadata).toEqual({});
  });
});

describe('identical errors', () => {
  it('write ten lines, then one a minute that counts the rest', () => {
    let at = 0;
    const { log, lines, suppressed } = open({ now: () => at });
    const storm = () => {
      for (let n = 0; n < 100; n += 1) log.error('loop_failed', new TypeError(`n ${n}`), { queue: 'email_send' });
    };
    storm();
    expect(lines()).toHaveLength(10);
    at += 60_000;
    storm();
    expect(lines()).toHaveLength(11);
    expect(lines().at(-1)?.metadata.suppressed).toBe(90);
    at += 60_000;
    storm();
    expect(lines().at(-1)?.metadata.suppressed).toBe(99);
    expect(suppressed).toHaveLength(300 - 12);
  });

  it('are those of one event, type and queue or route', () => {
    const { log, lines } = open({ now: () => 0 });
    for (let n = 0; n < 20; n += 1) {
      log.error('loop_failed', new TypeError('x'), { queue: 'email_send' });
      log.error('loop_failed', new RangeError('x'), { queue: 'email_send' });
      log.error('loop_failed', new TypeError('x'), { queue: 'webhook_send' });
      log.error('http_error', new TypeError('x'), { route: '/leads' });
    }
    expect(lines()).toHaveLength(40);
  });
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
