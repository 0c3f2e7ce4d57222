import { sql } from '@fmhl/ops';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestWorld } from '../../testing/world.ts';
import { filterOperators } from './contract.ts';
import { filterMatches } from './filter-rules.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;

beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world?.close());

/** The database's verdicts of many cases in one round trip. */
async function verdicts(cases: readonly { rules: unknown; form: unknown }[]): Promise<boolean[]> {
  const { rows } = await world.db.query<{ verdict: boolean }>(sql`
    select subscription_matches(rules, form) as verdict
    from unnest(${cases.map(({ rules }) => JSON.stringify(rules))}::jsonb[],
                ${cases.map(({ form }) => JSON.stringify(form))}::jsonb[]) with ordinality as c(rules, form, nth)
    order by nth`);
  return rows.map(({ verdict }) => verdict);
}

const isStorable = (text: string) => !text.includes('\u0000') && text.isWellFormed();
const text = fc.oneof(
  fc.constantFrom('', 'a', 'A', 'b', 'roof', 'ROOF', 'Roof repair', 'İ', 'ß', 'é', '%', '_', '\\', '"', '1'),
  fc.string({ unit: 'grapheme', maxLength: 6 }).filter(isStorable),
);
const number = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(1.5, 1e21, 1e-7, 0.1, -2.5),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const scalar = fc.oneof(text, number, fc.boolean());
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }),
  fc.tuple(number, number),
  fc.constant(null),
  fc.constant({ a: 1 }),
);
const field = fc.constantFrom('a', 'b', 'c');
const rule = fc.record({ field, op: fc.constantFrom(...filterOperators), value }, { requiredKeys: [] });
const form = fc.dictionary(field, value);
const json = fc
  .jsonValue({ maxDepth: 3 })
  .filter((any) => isStorable(JSON.stringify(any)) && !JSON.stringify(any).includes('\\u'));

async function expectSameVerdicts(cases: readonly { rules: unknown; form: unknown }[]) {
  const found = await verdicts(cases);
  for (const [index, each] of cases.entries()) {
    expect(found[index], JSON.stringify(each)).toBe(filterMatches(each.rules, each.form));
  }
}

describe('subscription_matches', () => {
  it('judges forms as the reference does', async () => {
    const cases = fc.array(fc.record({ rules: fc.array(rule, { maxLength: 3 }), form }), {
      minLength: 100,
      maxLength: 100,
    });
    await fc.assert(fc.asyncProperty(cases, expectSameVerdicts), { numRuns: 30 });
  });

  it('judges rules of any shape without an error', async () => {
    const shapeless = fc.oneof(json, fc.array(fc.oneof(rule, json), { maxLength: 3 }));
    const cases = fc.array(fc.record({ rules: shapeless, form: fc.oneof(form, json) }), {
      minLength: 100,
      maxLength: 100,
    });
    await fc.assert(fc.asyncProperty(cases, expectSameVerdicts), { numRuns: 20 });
  });

  it('takes every lead without rules, and no rule is met without a form', async () => {
    const { rows } = await world.db.query(sql`
      select subscription_matches(null, '{}') as everything, subscription_matches('[{"field":"a","op":"eq","value":1}]', null) as nothing`);
    expect(rows).toEqual([{ everything: true, nothing: false }]);
  });

  it('is a function that plans may move and share', async () => {
    const { rows } = await world.db.query(sql`
      select provolatile, proparallel from pg_proc where proname = 'subscription_matches'`);
    expect(rows).toEqual([{ provolatile: 'i', proparallel: 's' }]);
  });
});
