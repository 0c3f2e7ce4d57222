import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { depthOf, encodePayload, PayloadRefused, readEnvelope } from './envelope.ts';

const depthByHand = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthByHand)) : 0;

describe('a payload', () => {
  it('comes back as it went in', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        expect(JSON.parse(encodePayload(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('has the depth of its nesting, whatever its strings hold', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        expect(depthOf(JSON.stringify(value))).toBe(depthByHand(JSON.parse(JSON.stringify(value))));
      }),
    );
    expect(depthOf('{"a":"[[[\\"[["}')).toBe(1);
  });

  it.each([
    ['too large', 'x'.repeat(300_000), /at most 262144/],
    ['too deep', JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`), /nests 40 deep/],
    ['no JSON value', undefined, /must be a JSON value/],
  ])('is refused when it is %s', (_what, payload, message) => {
    expect(() => encodePayload(payload)).toThrow(PayloadRefused);
    expect(() => encodePayload(payload)).toThrow(message);
  });
});

it('an envelope is read only when it is one of ours', () => {
  const envelope = { v: 1, run: 'a', root: 'a', meta: { correlation_id: 'c', enqueued_at: '' }, body: 1 };
  expect(readEnvelope(envelope)).toEqual(envelope);
  for (const other of [
    null,
    'text',
    {},
    { ...envelope, v: 2 },
    { ...envelope, run: 7 },
    { ...envelope, meta: undefined },
  ]) {
    expect(readEnvelope(other)).toBeUndefined();
  }
});
