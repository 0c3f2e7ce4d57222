import type { Random } from './random.ts';

/** As far as values are made from it. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
}

/** Texts that have broken programs before. */
export const hostileTexts: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  'x\udfffy',
  '\r\nSet-Cookie: a=b',
  "'; drop table lead; --",
  '${7*7}{{7*7}}',
  '<script>alert(1)</script>',
  '=cmd|/c calc!A1',
  '../../../../etc/passwd',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  '-1',
  '1e400',
  '9007199254740993',
  '99999999999999999999999999999999',
  '0x10',
  '2026-02-30',
  '+275760-09-13T00:00:00.001Z',
  '-271821-04-19T23:59:59.999Z',
  '0000-00-00T00:00:00Z',
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '\u202e\u200d\ufeff',
  '🙈'.repeat(300),
  'a'.repeat(5_000),
  '(a+)+$',
  '%',
  '%00',
  '\\',
  '"',
  'age:>1h',
  'payload.a.b:~x',
  'state:open queue:email_send -cause:*',
  'fp:v1_',
  '"unended',
  '-',
  ':',
  'size:>999999999999kb',
  'failed:>=9999-99-99T99:99Z',
];

const hostileNumbers: readonly number[] = [
  0,
  -0,
  -1,
  0.5,
  1e21,
  -1e21,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  2 ** 63,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
];

/** A value of any type but the one that is wanted, perhaps. */
export function hostileValue(random: Random): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => random.chance(0.5),
    () => random.pick(hostileNumbers),
    () => random.pick(hostileTexts),
    () => [],
    () => [random.pick(hostileTexts)],
    () => Array.from({ length: 300 }, () => 1),
    () => ({}),
    () => ({ [random.pick(hostileTexts)]: 1 }),
    () => deep(random.pick([5, 30, 31, 40])),
  ])();
}

function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let at = 0; at < levels; at += 1) value = at % 2 === 0 ? [value] : { a: value };
  return value;
}

/** A value that fits the schema, more or less. */
export function fittingValue(schema: JsonSchema, random: Random): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return random.pick(schema.enum);
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices && choices.length > 0) return fittingValue(random.pick(choices), random);
  const type = random.pick([schema.type ?? 'string'].flat());
  if (type === 'object') return fittingObject(schema, random);
  if (type === 'array') {
    const length = (schema.minItems ?? 0) + random.below(3);
    return Array.from({ length }, () => fittingValue(schema.items ?? {}, random));
  }
  if (type === 'integer') return Math.trunc(fittingNumber(schema, random));
  if (type === 'number') return fittingNumber(schema, random);
  if (type === 'boolean') return random.chance(0.5);
  return type === 'null' ? null : fittingText(schema, random);
}

function fittingObject({ properties = {}, required = [] }: JsonSchema, random: Random): Record<string, unknown> {
  const names = Object.keys(properties).filter((name) => required.includes(name) || random.chance(0.4));
  return Object.fromEntries(names.map((name) => [name, fittingValue(properties[name] ?? {}, random)]));
}

/** The ends of the range, and beyond. */
function fittingNumber({ minimum = 0, maximum = 1_000 }: JsonSchema, random: Random): number {
  return random.pick([minimum, maximum, minimum + 1, Math.round((minimum + maximum) / 2), minimum - 1, maximum + 1]);
}

const words = ['roofing', 'The mail server was down', 'Ana', 'ada@example.com', '94107', '+1 415 555 0101'];

function fittingText({ format, pattern, minLength = 0, maxLength = 200 }: JsonSchema, random: Random): string {
  if (format === 'uuid') return '3f0e5a0a-8c1d-4f0f-9f0a-0a4d1b6a2f10';
  if (format === 'date-time')
    return random.pick(['2026-01-02T14:30:00Z', '2099-12-31T23:59:59.999Z', '0001-01-01T00:00:00Z']);
  if (format === 'email') return 'ada@example.com';
  if (format === 'uri') return 'https://tickets.example.com/1';
  if (pattern?.includes('v1_')) return 'v1_0123456789abcdef';
  const text = random.pick([...words, 'x'.repeat(Math.min(maxLength, 5_000)), 'y'.repeat(minLength)]);
  return text.padEnd(minLength, '.').slice(0, maxLength);
}
