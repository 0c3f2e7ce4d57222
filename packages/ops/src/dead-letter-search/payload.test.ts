import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineQueue } from '../queues/index.ts';
import { z } from 'zod';
import { maskJson } from './payload-mask.ts';
import { type StoredPayload, viewPayload } from './payload-view.ts';

const stored = (body: string): StoredPayload => ({ version: 0, encoding: 'json', body, bytes: null, sha256: 'x' });

describe('a masked payload', () => {
  it.each([
    ['{"user":{"email":"a@b.co","id":7}}', '{"user":{"email":"[masked]","id":7}}', ['user.email']],
    [
      '{"items":[{"phone":5551234},{"phone":null}]}',
      '{"items":[{"phone":"[masked]"},{"phone":null}]}',
      ['items.0.phone'],
    ],
    ['{"address":{"street":"Main 1","lines":["a","}"]},"n":1}', '{"address":"[masked]","n":1}', ['address']],
    ['{"contactName":"Ana","queueName":"q"}', '{"contactName":"[masked]","queueName":"q"}', ['contactName']],
    ['{"token":"s","password":true}', '{"token":"[masked]","password":"[masked]"}', ['token', 'password']],
    ['["write to ana@example.com now"]', '["write to [email] now"]', ['0']],
    ['"+1 202 555 0123"', '"[phone]"', ['$']],
    ['{"n":9007199254740993, "x" : 1.50e3}', '{"n":9007199254740993, "x" : 1.50e3}', []],
    ['{"e\\u006dail":"x"}', '{"e\\u006dail":"[masked]"}', ['email']],
    [
      '{"__proto__":{"name":"Ana"},"constructor":1}',
      '{"__proto__":{"name":"[masked]"},"constructor":1}',
      ['__proto__.name'],
    ],
    ['{"a":"\\u0000 \\ud800"}', '{"a":"\\u0000 \\ud800"}', []],
    ['null', 'null', []],
  ])('%s is shown as %s', (json, text, masked) => {
    expect(maskJson(json)).toEqual({ text, masked });
  });

  it('is the same JSON where nothing is personal, letter by letter', () => {
    const harmless = fc
      .jsonValue({ maxDepth: 5 })
      .map((value) => JSON.stringify(value, null, 1).replace(/[2-9@+]/g, '1'));
    fc.assert(
      fc.property(harmless, (json) => {
        const { text, masked } = maskJson(json);
        if (masked.length === 0) expect(text).toBe(json);
        expect(() => JSON.parse(text)).not.toThrow();
      }),
    );
  });

  it('never holds a value that stood below a personal name', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('email', 'first_name', 'phone', 'address', 'secret'),
        fc.jsonValue(),
        (key, value) => {
          const json = JSON.stringify({ before: [1, { [key]: [value, 'canary-7'] }], after: 1 });
          expect(maskJson(json).text).toBe(`{"before":[1,{"${key}":"[masked]"}],"after":1}`);
        },
      ),
    );
  });

  it('takes any depth and a megabyte', () => {
    const deep = `${'[{"a":'.repeat(20_000)}"x"${'}]'.repeat(20_000)}`;
    expect(maskJson(deep).text).toBe(deep);
    const large = JSON.stringify(
      Array.from({ length: 20_000 }, (_, n) => ({ n, email: 'a@b.co', text: 'x'.repeat(20) })),
    );
    expect(maskJson(large).masked).toHaveLength(20_000);
  });
});

describe('the view of a payload', () => {
  it('in clear is the exact text beside the value', () => {
    const text = '{"n":9007199254740993,"__proto__":1}';
    const view = viewPayload(stored(text), { isClear: true });
    expect(view).toMatchObject({ text, encoding: 'json', masked: null, truncated: false });
    expect(JSON.stringify(view.value)).toContain('"__proto__":1');
  });

  it('of bytes and of what is no JSON shows nothing while it is masked', () => {
    const bytes: StoredPayload = {
      version: 0,
      encoding: 'bytes',
      body: null,
      bytes: Buffer.from([255, 0]),
      sha256: 'x',
    };
    expect(viewPayload(bytes, { isClear: true })).toMatchObject({ value: null, text: '/wA=', encoding: 'base64' });
    expect(viewPayload(bytes, { isClear: false })).toMatchObject({ value: null, text: null, masked: ['$'] });
    expect(viewPayload(stored('Ana, {'), { isClear: true })).toMatchObject({
      value: null,
      text: 'Ana, {',
      encoding: 'text',
    });
    expect(viewPayload(stored('Ana, {'), { isClear: false })).toMatchObject({ text: null, masked: ['$'] });
  });

  it('is cut without splitting a character, and then has no value', () => {
    const view = viewPayload(stored(JSON.stringify('😀'.repeat(50))), { isClear: true, most: 50 });
    expect(view).toMatchObject({ value: null, truncated: true });
    expect(view.text?.isWellFormed()).toBe(true);
  });

  it('too deep to be written as a value is a text', () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    expect(viewPayload(stored(deep), { isClear: true })).toMatchObject({ value: null, text: deep, truncated: false });
  });

  it('of a payload that was not kept is empty', () => {
    expect(viewPayload(undefined, { isClear: true })).toMatchObject({ value: null, text: null, encoding: null });
  });
});

describe('paths that a kind of job declares to be personal', () => {
  const json = '{"memo":{"code":4711},"people":[{"id":"a","n":1},{"id":null,"n":2}],"a/b":"x","id":"b"}';

  it('are masked with all below them, whatever they are, and nothing else is', () => {
    expect(maskJson(json, ['/memo', '/people/*/id', '/a~1b'])).toEqual({
      text: '{"memo":"[masked]","people":[{"id":"[masked]","n":1},{"id":null,"n":2}],"a/b":"[masked]","id":"b"}',
      masked: ['memo', 'people.0.id', 'a/b'],
    });
    expect(maskJson(json, ['/people/1/n']).masked).toEqual(['people.1.n']);
  });

  it('are pointers', () => {
    const kinds = { task: { schema: z.unknown(), sideEffect: 'guarded', personalPaths: ['memo'] } } as const;
    expect(() => defineQueue({ name: 'work', attempts: 1, backoffMs: [], kinds })).toThrow('must be a JSON pointer');
  });
});
