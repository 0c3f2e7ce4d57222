import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fingerprintOf, type ToClassify } from './fingerprint.ts';

const stack = `Error: no
    at node:internal/process/task_queues:103:5
    at Pool.connect (/app/node_modules/pg-pool/index.js:45:11)
    at async sell (file:///app/src/distribution/sell.ts:41:7)
    at async handler (/app/src/jobs.ts:12:3)`;
const death = (more: Partial<ToClassify> = {}): ToClassify => ({
  type: 'Error',
  message: 'no',
  stack,
  cause: 'exhausted',
  ...more,
});
const of = (message: string) => fingerprintOf(death({ message }));

describe('the fingerprint of a death', () => {
  it('has the version of its classifier and 16 hex digits', () => {
    expect(of('no').fingerprint).toMatch(/^v1_[0-9a-f]{16}$/);
  });

  it.each([
    ['ids', `lead ${randomUUID()} is gone`, 'lead <id> is gone'],
    ['numbers', 'waited 5000 ms for 3 of 7', 'waited <n> ms for <n> of <n>'],
    ['times', 'not before 2026-01-02T14:30:00.5Z', 'not before <time>'],
    ['addresses of hosts', 'connect ECONNREFUSED 10.1.2.3:5432', 'connect ECONNREFUSED <host>'],
    ['addresses of people', 'refused by ana@example.com today', 'refused by <address> today'],
    ['URLs', 'GET https://api.example/v1/x?y=1 failed', 'GET <url> failed'],
    ['quoted text', `Cannot read "Ana's lamp" of 'undefined'`, 'Cannot read <text> of <text>'],
    ['keys of jobs', 'run distribute-7f1c-4 was fenced', 'run <id> was fenced'],
    ['hex', 'transaction 0xdeadbeef failed at 4f5e6d7c8b9a', 'transaction <id> failed at <id>'],
    ['a stack in the message', 'no\n    at sell (/app/x.ts:1:1)', 'no'],
  ])('does not depend on %s', (_what, message, normal) => {
    expect(of(message).message).toBe(normal);
  });

  it('does not depend on any number in the message', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (one, other) => {
        expect(of(`waited ${one} ms`).fingerprint).toBe(of(`waited ${other} ms`).fingerprint);
      }),
    );
  });

  it('depends on the type, the words and the first frame of our own, not on its line', () => {
    const at = (line: string) => fingerprintOf(death({ stack: stack.replace('41:7', line) })).fingerprint;
    expect(fingerprintOf(death()).frame).toBe('distribution/sell.ts:sell');
    expect(at('99:1')).toBe(at('41:7'));
    const others = [
      fingerprintOf(death({ type: 'TypeError' })),
      fingerprintOf(death({ message: 'yes' })),
      fingerprintOf(death({ stack: stack.replace('sell.ts', 'buy.ts') })),
    ].map(({ fingerprint }) => fingerprint);
    expect(new Set([...others, fingerprintOf(death()).fingerprint]).size).toBe(4);
  });

  it('is the one that the error brought along', () => {
    expect(fingerprintOf(death({ fingerprint: 'smtp-away' })).fingerprint).toBe('smtp-away');
  });

  it('takes the cause for the type of a death without an error', () => {
    expect(fingerprintOf({ type: '', message: '', stack: '', cause: 'lost' }).title).toBe('lost');
  });

  it('holds for any text, and its message stays within 200 characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3_000 }), fc.string({ maxLength: 500 }), (message, trace) => {
        const group = fingerprintOf(death({ message, stack: trace }));
        expect(group.message.length).toBeLessThanOrEqual(200);
        expect(group.message.isWellFormed()).toBe(true);
        expect(group.fingerprint).toBe(fingerprintOf(death({ message, stack: trace })).fingerprint);
      }),
    );
  });
});
