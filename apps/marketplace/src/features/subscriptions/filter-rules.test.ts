import { describe, expect, it } from 'vitest';
import type { FormSchema } from './contract.ts';
import { filterMatches, readFilter } from './filter-rules.ts';

const form: FormSchema = {
  fields: [
    { name: 'what', label: 'What', type: 'text', required: true },
    { name: 'rooms', label: 'Rooms', type: 'number', required: false },
    { name: 'kind', label: 'Kind', type: 'choice', required: false, options: ['house', 'flat'] },
    { name: 'owner', label: 'Owner', type: 'boolean', required: false },
  ],
};

describe('a filter', () => {
  it('is kept when every rule fits the form', () => {
    const rules = [
      { field: 'what', op: 'contains', value: 'roof' },
      { field: 'rooms', op: 'between', value: [2, 5] },
      { field: 'kind', op: 'in', value: ['house'] },
      { field: 'owner', op: 'eq', value: true },
      { field: 'rooms', op: 'exists', value: false },
    ];
    expect(readFilter(rules, form)).toEqual({ rules });
  });

  it('that is empty takes every lead', () => {
    expect(readFilter([], form)).toEqual({ rules: null });
    expect(readFilter(null, form)).toEqual({ rules: null });
  });

  it.each([
    ['no object', 5, 'body.filter_rules.0'],
    ['an unknown key', { field: 'what', op: 'eq', value: 'x', or: 1 }, 'body.filter_rules.0'],
    ['an unknown field', { field: 'colour', op: 'eq', value: 'x' }, 'body.filter_rules.0.field'],
    ['an inherited field', { field: 'constructor', op: 'exists', value: true }, 'body.filter_rules.0.field'],
    ['an unknown operator', { field: 'what', op: 'regex', value: 'x' }, 'body.filter_rules.0.op'],
    ['an operator of another type', { field: 'what', op: 'gte', value: 1 }, 'body.filter_rules.0.op'],
    ['a value of another type', { field: 'rooms', op: 'eq', value: '4' }, 'body.filter_rules.0.value'],
    ['an option that is none', { field: 'kind', op: 'eq', value: 'boat' }, 'body.filter_rules.0.value'],
    ['an empty list', { field: 'kind', op: 'in', value: [] }, 'body.filter_rules.0.value'],
    ['a long list', { field: 'rooms', op: 'in', value: Array(51).fill(1) }, 'body.filter_rules.0.value'],
    ['a range upside down', { field: 'rooms', op: 'between', value: [5, 2] }, 'body.filter_rules.0.value'],
    ['a range of three', { field: 'rooms', op: 'between', value: [1, 2, 3] }, 'body.filter_rules.0.value'],
    ['empty text', { field: 'what', op: 'contains', value: '' }, 'body.filter_rules.0.value'],
    ['NUL', { field: 'what', op: 'eq', value: 'a\u0000' }, 'body.filter_rules.0.value'],
    ['no value', { field: 'owner', op: 'exists' }, 'body.filter_rules.0.value'],
  ])('is refused for %s, with its path', (_why, rule, at) => {
    expect(readFilter([rule], form)).toMatchObject({ fault: { at } });
  });

  it('names the rule at fault', () => {
    const good = { field: 'owner', op: 'eq', value: true };
    expect(readFilter([good, good, { ...good, op: 'in' }], form)).toEqual({
      fault: { at: 'body.filter_rules.2.op', message: 'must be one of eq, neq, exists' },
    });
  });
});

describe('a lead', () => {
  const lead = { what: 'A new Roof', rooms: 4, kind: 'house', owner: false };

  it.each([
    ['what', 'eq', 'A new Roof', true],
    ['what', 'eq', 'a new roof', false],
    ['what', 'contains', 'ROOF', true],
    ['what', 'contains', 'garden', false],
    ['rooms', 'eq', 4, true],
    ['rooms', 'neq', 4, false],
    ['rooms', 'neq', 5, true],
    ['rooms', 'gte', 4, true],
    ['rooms', 'gte', 5, false],
    ['rooms', 'lte', 4, true],
    ['rooms', 'between', [1, 4], true],
    ['rooms', 'between', [5, 9], false],
    ['kind', 'in', ['flat', 'house'], true],
    ['kind', 'not_in', ['flat'], true],
    ['kind', 'not_in', ['house'], false],
    ['owner', 'eq', false, true],
    ['owner', 'exists', true, true],
    ['colour', 'exists', false, true],
    ['colour', 'eq', 'red', false],
    ['colour', 'neq', 'red', false],
    ['colour', 'not_in', ['red'], false],
    ['rooms', 'eq', '4', false],
    ['rooms', 'neq', '5', false],
    ['what', 'gte', 1, false],
  ])('whose answers meet %s %s %j: %j', (field, op, value, matches) => {
    expect(filterMatches([{ field, op, value }], lead)).toBe(matches);
  });

  it('must meet every rule', () => {
    const rule = { field: 'rooms', op: 'gte', value: 2 };
    expect(filterMatches([rule, { ...rule, op: 'lte' }], lead)).toBe(false);
    expect(filterMatches([], lead)).toBe(true);
    expect(filterMatches(null, lead)).toBe(true);
  });
});
