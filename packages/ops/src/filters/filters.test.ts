import { causeNames } from '../causes/index.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  absolute,
  compareVersions,
  type FilterField,
  FilterError,
  filterFields,
  filterOf,
  type FilterTerm,
  parseFilter,
  printFilter,
} from './index.ts';

const canonical = (text: string) => printFilter(parseFilter(text));

function faultOf(text: string) {
  try {
    parseFilter(text);
  } catch (error) {
    if (error instanceof FilterError) return { at: error.at, field: error.field, did_you_mean: error.did_you_mean };
    throw error;
  }
  throw new Error(`"${text}" is no fault`);
}

describe('a filter', () => {
  it.each([
    ['', ''],
    ['  state:open   queue:email_send ', 'queue:email_send state:open'],
    ['state:snoozed,pending,pending', 'state:pending,snoozed'],
    ['timeout', 'message:~timeout'],
    ['-"timed out"', '-message:~"timed out"'],
    ['message:timeout', 'message:~timeout'],
    ['State:OPEN', 'state:open'],
    ['size:>100kb', 'size:>102400'],
    ['size:>1.5mb', 'size:>1572864'],
    ['age:>60m', 'age:>1h'],
    ['age:<=14d', 'age:<=2w'],
    ['failed:>=2026-01-02T14:00Z', 'failed:>=2026-01-02T14:00:00.000Z'],
    ['failed:<2026-01-02T14:00+02:00', 'failed:<2026-01-02T12:00:00.000Z'],
    ['captured:<2026-01-02', 'captured:<2026-01-02T00:00:00.000Z'],
    ['assignee:me,none', 'assignee:me,none'],
    ['assignee:"me"', 'assignee:"me"'],
    ['note:* ticket:none', 'note:* ticket:none'],
    ['payload.user.id:42', 'payload.user.id:42'],
    ['payload.a:"none"', 'payload.a:"none"'],
    ['payload.a:">5"', 'payload.a:">5"'],
    ['payload.total:>=-5.5', 'payload.total:>=-5.5'],
    ['payload.a:~"say \\"hi\\", then"', 'payload.a:~"say \\"hi\\", then"'],
    ['version:>=1.4.0', 'version:>=1.4.0'],
    ['stream:identity', 'stream:identity.dlq'],
    ['fp:9c41d0aa,v1_9c41d0aa00000000', 'fp:9c41d0aa,v1_9c41d0aa00000000'],
    ['-', 'message:~-'],
    ['14:00', 'message:~14:00'],
  ])('reads %j as %j', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it('gives queues their canonical names', () => {
    const queue = (name: string) => (name === 'email' ? 'email_send' : undefined);
    expect(printFilter(parseFilter('queue:email,other', { queue }))).toBe('queue:email_send,other');
  });

  it('knows who is meant by me when it is told', () => {
    expect(printFilter(parseFilter('assignee:me', { me: 'u-1' }))).toBe('assignee:u-1');
  });

  it('turns ages into moments, on the other side of the comparison', () => {
    const now = new Date('2026-01-02T14:00:00Z');
    const filter = absolute(parseFilter('age:>1h -age:<=30m'), now);
    expect(printFilter(filter)).toBe('-failed:>=2026-01-02T13:30:00.000Z failed:<2026-01-02T13:00:00.000Z');
    expect(parseFilter('age:>1h -age:<=30m', { now })).toEqual(filter);
  });
});

describe('a fault in a filter', () => {
  it.each([
    ['stat:open', { at: 0, field: 'stat', did_you_mean: 'state:open' }],
    ['state:open queu:x', { at: 11, field: 'queu', did_you_mean: 'queue:x' }],
    ['https://example.com', { at: 0, field: 'https', did_you_mean: '"https://example.com"' }],
    ['payload:5', { at: 0, field: 'payload', did_you_mean: 'payload.<path>:5' }],
    ['state:opne', { at: 6, field: 'state', did_you_mean: 'open' }],
    ['state:none', { at: 6, field: 'state', did_you_mean: undefined }],
    ['cause:exausted', { at: 6, field: 'cause', did_you_mean: 'exhausted' }],
    ['state:', { at: 6, field: undefined, did_you_mean: undefined }],
    ['state:open,', { at: 11, field: undefined, did_you_mean: undefined }],
    ['"open', { at: 0, field: undefined, did_you_mean: '"open"' }],
    ['kind:"a"b', { at: 8, field: undefined, did_you_mean: undefined }],
    ['""', { at: 0, field: undefined, did_you_mean: undefined }],
    ['attempts:many', { at: 9, field: 'attempts', did_you_mean: undefined }],
    ['attempts:99999999999', { at: 9, field: 'attempts', did_you_mean: undefined }],
    ['attempts:>1,2', { at: 0, field: 'attempts', did_you_mean: undefined }],
    ['state:>open', { at: 0, field: 'state', did_you_mean: 'state:' }],
    ['age:1h', { at: 0, field: 'age', did_you_mean: 'age:>' }],
    ['age:>soon', { at: 5, field: 'age', did_you_mean: undefined }],
    ['failed:>1h', { at: 8, field: 'failed', did_you_mean: undefined }],
    ['failed:>2026-02-30', { at: 8, field: 'failed', did_you_mean: undefined }],
    ['size:>9gb', { at: 6, field: 'size', did_you_mean: undefined }],
    ['id:42', { at: 3, field: 'id', did_you_mean: undefined }],
    ['note:hello', { at: 5, field: 'note', did_you_mean: '*' }],
    ['payload.a:\u0000', { at: 10, field: undefined, did_you_mean: undefined }],
    ['kind:\ud800', { at: 5, field: undefined, did_you_mean: undefined }],
    ['a '.repeat(51), { at: 100, field: undefined, did_you_mean: undefined }],
    ['x'.repeat(4_001), { at: 4_000, field: undefined, did_you_mean: undefined }],
  ])('in %j is told with its place', (text, fault) => {
    expect(faultOf(text)).toEqual(fault);
  });
});

const anyText = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter((text) => !text.includes('\0'));
const path = fc.stringMatching(/^[A-Za-z0-9_$.-]{1,12}$/);

function valuesOf(field: FilterField): fc.Arbitrary<string> {
  const { form, words } = filterFields[field];
  const forms: Record<typeof form, fc.Arbitrary<string>> = {
    word: fc.constantFrom(...(words ?? ['x'])),
    text: field === 'stream' ? anyText.map((text) => `${text}.dlq`) : anyText,
    number: fc.nat(999_999_999).map(String),
    size: fc.nat(2 ** 31 - 1).map(String),
    duration: fc.constantFrom('1s', '90s', '7m', '5h', '3d', '2w'),
    time: fc
      .date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((at) => at.toISOString()),
    uuid: fc.uuid(),
    id: fc.uuid().chain((id) => fc.integer({ min: 8, max: 36 }).map((length) => id.slice(0, length))),
    fingerprint: fc.stringMatching(/^[\w.-]{1,20}$/),
    version: fc.stringMatching(/^[\w.+-]{1,20}$/),
    presence: fc.constant('*'),
  };
  return forms[form];
}

const term: fc.Arbitrary<FilterTerm> = fc
  .constantFrom(...(Object.keys(filterFields) as FilterField[]))
  .chain((field) => fc.record({ field: fc.constant(field), op: fc.constantFrom(...filterFields[field].ops) }))
  .chain(({ field, op }) => {
    const { presence, form } = filterFields[field];
    const text = valuesOf(field).map((value) => ({ is: 'text' as const, text: value }));
    const asked = fc.constantFrom({ is: 'present' as const }, { is: 'absent' as const });
    const value = form === 'presence' ? asked : presence && op === '=' ? fc.oneof(text, asked) : text;
    return fc.record({
      negated: fc.boolean(),
      field: fc.constant(field),
      op: fc.constant(op),
      values: fc.array(value, { minLength: 1, maxLength: op === '=' || op === '~' ? 3 : 1 }),
      ...(field === 'payload' && { path }),
    });
  });

describe('print and parse', () => {
  it('are inverse: a printed filter reads as the same filter', () => {
    fc.assert(
      fc.property(fc.array(term, { maxLength: 6 }), (terms) => {
        const filter = filterOf(terms);
        expect(parseFilter(printFilter(filter))).toEqual(filter);
      }),
      { numRuns: 200 },
    );
  });

  it('have one text for one filter, in whatever order its terms came', () => {
    fc.assert(
      fc.property(fc.array(term, { maxLength: 6 }), (terms) => {
        expect(printFilter(filterOf([...terms].reverse()))).toBe(printFilter(filterOf(terms)));
      }),
    );
  });

  it('answer any text with a filter or with a fault inside it, and the canonical text is stable', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        try {
          const once = canonical(text);
          expect(canonical(once)).toBe(once);
        } catch (error) {
          expect(error).toBeInstanceOf(FilterError);
          expect((error as FilterError).at).toBeLessThanOrEqual(text.length);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('versions', () => {
  it('are ordered by their numbers, and a release is above its candidates', () => {
    const ordered = ['abc123', 'test', '0.9', '1.2.0-beta', '1.2.0-rc.1', '1.2.0', 'v1.2.1', '1.10.0', '2'];
    expect([...ordered].reverse().sort(compareVersions)).toEqual(ordered);
    expect(compareVersions('1.2', '1.2.0+build.7')).toBe(0);
  });
});

it('each cause of death is a word of the grammar', () => {
  for (const cause of causeNames) expect(canonical(`cause:${cause}`)).toBe(`cause:${cause}`);
});
