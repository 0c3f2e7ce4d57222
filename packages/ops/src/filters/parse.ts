import { absolute } from './absolute.ts';
import { type FieldRule, type FilterField, type FilterOp, filterFields, isFilterField } from './fields.ts';
import { type Filter, FilterError, type FilterTerm, type FilterValue } from './filter.ts';
import { nearest } from './nearest.ts';
import { filterOf, quote } from './print.ts';
import { readValue } from './values.ts';

export interface ParseOptions {
  /** Turns relative times into absolute ones. Leave it out where the text is compared later, as by a cursor. */
  readonly now?: Date;
  /** Stands for `me`. Without it `me` stays, and whoever reads the filter says who that is. */
  readonly me?: string;
  /** The canonical name of a queue; undefined keeps what was written. */
  readonly queue?: (nameOrAlias: string) => string | undefined;
}

/** Longest text of a filter, and most terms and alternatives in it. */
export const filterLimits = { characters: 4_000, terms: 50, values: 100 } as const;

interface Token {
  readonly text: string;
  readonly quoted: boolean;
  readonly at: number;
}

interface Parsing extends ParseOptions {
  readonly source: string;
  at: number;
}

/**
 * Reads the text of a filter: `state:open queue:email_send age:>1h -error:TypeError "timed out"`.
 * Throws {@link FilterError} that says where, and where possible what was meant.
 */
export function parseFilter(text: string, options: ParseOptions = {}): Filter {
  refuseUnreadable(text);
  const parsing: Parsing = { ...options, source: text, at: 0 };
  const terms: FilterTerm[] = [];
  for (skipBlanks(parsing); parsing.at < text.length; skipBlanks(parsing)) {
    if (terms.length >= filterLimits.terms) throw new FilterError('too many terms', { at: parsing.at });
    terms.push(readTerm(parsing));
  }
  const filter = filterOf(terms);
  return options.now ? absolute(filter, options.now) : filter;
}

function refuseUnreadable(text: string): void {
  if (text.length > filterLimits.characters) {
    throw new FilterError(`a filter has at most ${filterLimits.characters} characters`, {
      at: filterLimits.characters,
    });
  }
  const at = text.search(/[\0\p{Surrogate}]/u);
  if (at >= 0) throw new FilterError('a filter holds no NUL and no half of a surrogate pair', { at });
}

function skipBlanks(parsing: Parsing): void {
  take(parsing, /\s*/y);
}

/** What stands at the present position, if it matches; moves behind it. */
function take(parsing: Parsing, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = parsing.at;
  const match = pattern.exec(parsing.source) ?? undefined;
  if (match) parsing.at += match[0].length;
  return match;
}

function readTerm(parsing: Parsing): FilterTerm {
  const negated = take(parsing, /-(?=\S)/y) !== undefined;
  const start = parsing.at;
  const name = take(parsing, /(?:payload\.[^\s:",]+|[a-z_]+)(?=:)/iy)?.[0];
  if (name === undefined) return { negated, field: 'message', op: '~', values: [readWord(parsing)] };
  parsing.at += 1;
  const { field, path } = readField(parsing, name, start);
  const op = (take(parsing, />=|<=|>|<|~/y)?.[0] ?? defaultOp(field)) as FilterOp;
  const rule = filterFields[field];
  const values = readValues(parsing).map((token) => valueOf(parsing, { field, rule, op, token }));
  checkOp({ field, rule, op, values, start });
  return { negated, field, ...(path !== undefined && { path }), op, values };
}

/** A text is searched for, not compared with the whole. */
function defaultOp(field: FilterField): FilterOp {
  return field === 'message' ? '~' : '=';
}

function readField(parsing: Parsing, name: string, at: number): { field: FilterField; path?: string } {
  if (/^payload\./i.test(name)) return { field: 'payload', path: name.slice('payload.'.length) };
  const field = name.toLowerCase();
  if (isFilterField(field) && field !== 'payload') return { field };
  const rest = take(parsing, /\S*/y)?.[0] ?? '';
  const near = field === 'payload' ? 'payload.<path>' : nearest(field, Object.keys(filterFields));
  throw new FilterError(`there is no field "${name}"; put a text that holds a colon in quotes`, {
    at,
    field: name,
    did_you_mean: near === undefined ? quote(`${name}:${rest}`) : `${near}:${rest}`,
  });
}

/** A word or a quoted text that stands alone. */
function readWord(parsing: Parsing): FilterValue {
  const { text, at } = readQuoted(parsing) ?? { text: take(parsing, /\S+/y)?.[0] ?? '', at: parsing.at };
  if (text === '') throw new FilterError('an empty text matches everything', { at });
  requireEnd(parsing);
  return { is: 'text', text };
}

function readValues(parsing: Parsing): Token[] {
  const tokens = [readToken(parsing)];
  while (take(parsing, /,/y)) tokens.push(readToken(parsing));
  requireEnd(parsing);
  if (tokens.length > filterLimits.values) throw new FilterError('too many alternatives', { at: parsing.at });
  return tokens;
}

function readToken(parsing: Parsing): Token {
  const quoted = readQuoted(parsing);
  if (quoted) return quoted;
  const at = parsing.at;
  const text = take(parsing, /[^\s,]+/y)?.[0];
  if (text === undefined) throw new FilterError('a value is missing', { at });
  return { text, at, quoted: false };
}

function readQuoted(parsing: Parsing): Token | undefined {
  const at = parsing.at;
  if (parsing.source[at] !== '"') return undefined;
  const match = take(parsing, /"((?:[^"\\]|\\[^])*)"/y);
  if (!match) throw new FilterError('the quotes are not closed', { at, did_you_mean: `${parsing.source.slice(at)}"` });
  return { text: (match[1] ?? '').replace(/\\([^])/g, '$1'), quoted: true, at };
}

function requireEnd({ source, at }: Parsing): void {
  const next = source[at];
  if (next !== undefined && !/\s/.test(next)) throw new FilterError('a space is missing', { at });
}

interface ValueContext {
  readonly field: FilterField;
  readonly rule: FieldRule;
  readonly op: FilterOp;
  readonly token: Token;
}

function valueOf(parsing: Parsing, { field, rule, op, token }: ValueContext): FilterValue {
  if (!token.quoted && op === '=') {
    if (rule.presence && token.text === '*') return { is: 'present' };
    if (rule.presence && token.text === 'none') return { is: 'absent' };
    if (field === 'assignee' && token.text === 'me') {
      return parsing.me === undefined ? { is: 'me' } : { is: 'text', text: parsing.me };
    }
  }
  const read = readValue(rule, token.text);
  if ('wrong' in read) {
    throw new FilterError(`${field} ${read.wrong}`, { at: token.at, field, did_you_mean: read.did_you_mean });
  }
  if (field === 'queue') return { is: 'text', text: parsing.queue?.(read.text) ?? read.text };
  if (field === 'stream') return { is: 'text', text: read.text.endsWith('.dlq') ? read.text : `${read.text}.dlq` };
  return { is: 'text', text: read.text };
}

function checkOp(term: {
  field: FilterField;
  rule: FieldRule;
  op: FilterOp;
  values: readonly FilterValue[];
  start: number;
}): void {
  const { field, rule, op, values, start } = term;
  if (!rule.ops.includes(op)) {
    const [first = '='] = rule.ops;
    const allowed = rule.ops.map((one) => (one === '=' ? 'none' : one)).join(' ');
    throw new FilterError(`${field} takes these operators: ${allowed}`, {
      at: start,
      field,
      did_you_mean: `${field}:${first === '=' ? '' : first}`,
    });
  }
  if (values.length > 1 && op !== '=' && op !== '~') {
    throw new FilterError(`${op} takes one value`, { at: start, field });
  }
}
