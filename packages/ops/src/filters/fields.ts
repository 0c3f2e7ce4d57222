import { causeNames } from '../causes/index.ts';
/** How a field compares: `=` equals, `~` contains. */
export type FilterOp = '=' | '~' | '>' | '>=' | '<' | '<=';

/** What the values of a field look like. */
export type ValueForm =
  | 'word'
  | 'text'
  | 'number'
  | 'size'
  | 'duration'
  | 'time'
  | 'uuid'
  | 'id'
  | 'fingerprint'
  | 'version'
  | 'presence';

/** One row of the grammar's table. */
export interface FieldRule {
  readonly form: ValueForm;
  readonly ops: readonly FilterOp[];
  /** Every value there is, for a field of words. */
  readonly words?: readonly string[];
  /** `*` and `none` ask whether there is a value. */
  readonly presence?: boolean;
}

const ordered = ['=', '>', '>=', '<', '<='] as const;
const exact = { form: 'text', ops: ['='], presence: true } as const;
const contained = { form: 'text', ops: ['=', '~'], presence: true } as const;
const instant = { form: 'time', ops: ['>', '>=', '<', '<='] } as const;

const rules = {
  state: {
    form: 'word',
    ops: ['='],
    words: ['pending', 'snoozed', 'retrying', 'resolved', 'discarded', 'open', 'closed'],
  },
  queue: exact,
  stream: exact,
  source: { form: 'word', ops: ['='], words: ['queue', 'stream'] },
  kind: contained,
  group: exact,
  error: contained,
  message: { form: 'text', ops: ['~'] },
  fp: { form: 'fingerprint', ops: ['='] },
  cause: { form: 'word', ops: ['='], words: causeNames },
  version: { form: 'version', ops: ordered, presence: true },
  host: contained,
  attempts: { form: 'number', ops: ordered },
  retries: { form: 'number', ops: ordered },
  size: { form: 'size', ops: ordered },
  age: { form: 'duration', ops: ['>', '>=', '<', '<='] },
  failed: instant,
  captured: instant,
  payload: { form: 'text', ops: ['=', '~', '>', '>=', '<', '<='], presence: true },
  id: { form: 'id', ops: ['='] },
  job: { form: 'text', ops: ['='] },
  event: { form: 'text', ops: ['='] },
  correlation: { form: 'text', ops: ['='] },
  redrive: { form: 'uuid', ops: ['='] },
  incident: { form: 'text', ops: ['='] },
  assignee: exact,
  note: { form: 'presence', ops: ['='], presence: true },
  ticket: contained,
} as const satisfies Record<string, FieldRule>;

export type FilterField = keyof typeof rules;

/** Every field a filter may name, with what may follow it. `payload` is written with a path: `payload.user.id`. */
export const filterFields: Readonly<Record<FilterField, FieldRule>> = rules;

export function isFilterField(name: string): name is FilterField {
  return Object.hasOwn(rules, name);
}
