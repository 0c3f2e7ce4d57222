import type { FormField, FormSchema } from './contract.ts';

export interface Fault {
  at: string;
  message: string;
}

export type FormAnswers = Record<string, string | number | boolean>;
export type FormVerdict = { ok: true; form: FormAnswers } | { ok: false; faults: Fault[] };

const longestText = 500;

/**
 * The judge of filled-in forms. It answers the cleaned answers (texts trimmed, empty and null ones left out), or every fault
 * with its path below `form` and what would be valid; a fault never quotes what was sent.
 */
export function compileForm({ fields }: FormSchema): (input: Readonly<Record<string, unknown>>) => FormVerdict {
  const known = new Set(fields.map(({ name }) => name));
  const names = [...known].join(', ') || 'none';
  return (input) => {
    const faults = Object.keys(input)
      .filter((name) => !known.has(name))
      .slice(0, 20)
      .map((name) => ({ at: `form.${shown(name)}`, message: `is not a field of this form; its fields: ${names}` }));
    const form: FormAnswers = {};
    for (const field of fields) {
      const answer = cleaned(Object.hasOwn(input, field.name) ? input[field.name] : undefined);
      const message = answer === undefined ? absence(field) : answerFault(field, answer);
      if (message !== undefined) faults.push({ at: `form.${field.name}`, message });
      else if (answer !== undefined) form[field.name] = answer as FormAnswers[string];
    }
    return faults.length > 0 ? { ok: false, faults } : { ok: true, form };
  };
}

/** A key of the sender's own making: only what could be a name is repeated. */
const shown = (name: string) => (/^\w{1,40}$/.test(name) ? name : '(another key)');

function cleaned(value: unknown): unknown {
  const trimmed = typeof value === 'string' ? value.trim() : value;
  return trimmed === '' || trimmed === null ? undefined : trimmed;
}

function absence(field: FormField): string | undefined {
  return field.required ? `is required: ${expectation(field)}` : undefined;
}

function answerFault(field: FormField, answer: unknown): string | undefined {
  return isAnswer(field, answer) ? undefined : `must be ${expectation(field)}`;
}

/** Whether a value could answer the field; also what a filter's value is judged by. */
export function isAnswer(field: FormField, value: unknown): boolean {
  switch (field.type) {
    case 'text':
      return typeof value === 'string' && value.length <= (field.max_length ?? longestText) && isStorable(value);
    case 'number':
      return (
        Number.isFinite(value) && Number(value) >= (field.min ?? -Infinity) && Number(value) <= (field.max ?? Infinity)
      );
    case 'choice':
      return typeof value === 'string' && field.options.includes(value);
    case 'boolean':
      return typeof value === 'boolean';
  }
}

/** Postgres stores neither NUL nor half a surrogate pair. */
const isStorable = (text: string) => !text.includes('\u0000') && text.isWellFormed();

function expectation(field: FormField): string {
  switch (field.type) {
    case 'text':
      return `text of at most ${field.max_length ?? longestText} characters`;
    case 'number':
      return `a number${field.min === undefined ? '' : ` from ${field.min}`}${field.max === undefined ? '' : ` up to ${field.max}`}`;
    case 'choice':
      return `one of ${field.options.join(', ')}`;
    case 'boolean':
      return 'true or false';
  }
}

/** What makes a form unusable in itself, or undefined. */
export function formFault({ fields }: FormSchema): Fault | undefined {
  const seen = new Set<string>();
  for (const [index, field] of fields.entries()) {
    const at = `body.form_schema.fields.${index}`;
    if (seen.has(field.name)) return { at: `${at}.name`, message: 'must be unique' };
    seen.add(field.name);
    if (field.type === 'choice' && new Set(field.options).size < field.options.length) {
      return { at: `${at}.options`, message: 'must be unique' };
    }
    if (field.type === 'number' && (field.min ?? -Infinity) > (field.max ?? Infinity)) {
      return { at: `${at}.min`, message: 'must not be above max' };
    }
  }
  return undefined;
}

/** What the next form takes away from the present one, or undefined: filters and stored leads must stay valid. */
export function shrinkage(present: FormSchema, next: FormSchema): Fault | undefined {
  for (const field of present.fields) {
    const kept = next.fields.find(({ name }) => name === field.name);
    const at = 'body.form_schema.fields';
    if (!kept) return { at, message: `must keep the field ${field.name}: a form only grows` };
    if (kept.type !== field.type) return { at, message: `must keep ${field.name} a ${field.type}: a form only grows` };
    if (field.type !== 'choice' || kept.type !== 'choice') continue;
    const lost = field.options.find((option) => !kept.options.includes(option));
    if (lost !== undefined) return { at, message: `must keep the option ${lost} of ${field.name}: a form only grows` };
  }
  return undefined;
}
