import { describe, expect, it } from 'vitest';
import type { FormSchema } from './contract.ts';
import { compileForm, formFault, shrinkage } from './form-schema.ts';

const form: FormSchema = {
  fields: [
    { name: 'what', label: 'What is it about?', type: 'text', required: true, max_length: 20 },
    { name: 'rooms', label: 'Rooms', type: 'number', required: false, min: 1, max: 50 },
    { name: 'kind', label: 'Kind', type: 'choice', required: true, options: ['house', 'flat'] },
    { name: 'owner', label: 'Do you own it?', type: 'boolean', required: false },
    { name: 'constructor', label: 'Who built it?', type: 'text', required: false },
  ],
};
const judge = compileForm(form);
const valid = { what: 'A new roof', rooms: 4, kind: 'house', owner: true };

describe('a filled-in form', () => {
  it('keeps its answers, trimmed', () => {
    expect(judge({ ...valid, what: '  A new roof ' })).toEqual({ ok: true, form: valid });
  });

  it('leaves out what was not answered', () => {
    expect(judge({ what: 'Roof', kind: 'flat', rooms: null, constructor: ' ' })).toEqual({
      ok: true,
      form: { what: 'Roof', kind: 'flat' },
    });
  });

  it.each([
    ['a required answer is missing', { kind: 'flat' }, 'form.what', 'is required: text of at most 20 characters'],
    ['a required answer is blank', { ...valid, what: '  ' }, 'form.what', 'is required: text of at most 20 characters'],
    ['a text is too long', { ...valid, what: 'x'.repeat(21) }, 'form.what', 'must be text of at most 20 characters'],
    ['a text holds NUL', { ...valid, what: 'a\u0000b' }, 'form.what', 'must be text of at most 20 characters'],
    [
      'a text holds half a surrogate pair',
      { ...valid, what: '\ud800' },
      'form.what',
      'must be text of at most 20 characters',
    ],
    ['a number is text', { ...valid, rooms: '4' }, 'form.rooms', 'must be a number from 1 up to 50'],
    ['a number is too small', { ...valid, rooms: 0 }, 'form.rooms', 'must be a number from 1 up to 50'],
    ['a number is none', { ...valid, rooms: NaN }, 'form.rooms', 'must be a number from 1 up to 50'],
    ['a choice is none of the options', { ...valid, kind: 'boat' }, 'form.kind', 'must be one of house, flat'],
    ['a boolean is a number', { ...valid, owner: 1 }, 'form.owner', 'must be true or false'],
    ['an answer is an object', { ...valid, what: {} }, 'form.what', 'must be text of at most 20 characters'],
  ])('is refused when %s', (_why, input, at, message) => {
    expect(judge(input)).toEqual({ ok: false, faults: [{ at, message }] });
  });

  it('is refused with unknown fields, and says which exist', () => {
    const message = 'is not a field of this form; its fields: what, rooms, kind, owner, constructor';
    expect(judge({ ...valid, rroms: 4 })).toEqual({ ok: false, faults: [{ at: 'form.rroms', message }] });
    const hostile = JSON.parse('{"__proto__": {"kind": "flat"}, "a@b.example": 1, "what": "x"}');
    expect(judge(hostile)).toMatchObject({
      faults: [{ at: 'form.__proto__' }, { at: 'form.(another key)' }, { at: 'form.kind' }],
    });
  });
});

describe('a form', () => {
  it('may gain fields and options', () => {
    const next = structuredClone(form);
    next.fields.push({ name: 'budget', label: 'Budget', type: 'number', required: false });
    next.fields[2] = {
      name: 'kind',
      label: 'Sort',
      type: 'choice',
      required: true,
      options: ['flat', 'house', 'barn'],
    };
    expect(shrinkage(form, next)).toBeUndefined();
    expect(formFault(next)).toBeUndefined();
  });

  it('never loses a field, its type or an option', () => {
    const without = (index: number) => ({ fields: form.fields.toSpliced(index, 1) });
    expect(shrinkage(form, without(0))?.message).toContain('keep the field what');
    const retyped = { fields: form.fields.with(1, { name: 'rooms', label: 'Rooms', type: 'text', required: false }) };
    expect(shrinkage(form, retyped)?.message).toContain('keep rooms a number');
    const fewer = {
      fields: form.fields.with(2, { name: 'kind', label: 'Kind', type: 'choice', required: true, options: ['flat'] }),
    };
    expect(shrinkage(form, fewer)?.message).toContain('keep the option house of kind');
  });

  it('has fields of different names, different options and possible bounds', () => {
    expect(formFault({ fields: [...form.fields, form.fields[0] as never] })?.at).toBe('body.form_schema.fields.5.name');
    const number = { name: 'n', label: 'N', type: 'number', required: false, min: 3, max: 2 } as const;
    expect(formFault({ fields: [number] })?.at).toBe('body.form_schema.fields.0.min');
    const choice = { name: 'c', label: 'C', type: 'choice', required: false, options: ['a', 'a'] } as const;
    expect(formFault({ fields: [{ ...choice, options: [...choice.options] }] })?.at).toBe(
      'body.form_schema.fields.0.options',
    );
  });
});
