import { csvText, join, raw, type Sql, sql } from '@fmhl/ops';
import type { ExportType } from './export-contract.ts';

/** Which rows a file has. */
export interface Selection {
  /** Null for all. */
  readonly providerId: string | null;
  /** ISO moments; `from` is included, `to` is not. */
  readonly from: string;
  readonly to: string;
  /** What came later is not in the file; what has a time of its own and changed later is as it was. */
  readonly asOf: Date;
}

/** Where a page ended, as Postgres writes it. */
export type Position = readonly [string, string];

/** How Postgres writes a value, and whether that may hold what a person typed: only `text` does, and only it is quoted and made harmless. */
const forms = {
  text: (value: Sql) => sql`${value}::text`,
  id: (value: Sql) => sql`${value}::uuid::text`,
  number: (value: Sql) => sql`${value}::bigint::text`,
  /** Cents as dollars: -1500 is -15.00. */
  cents: (value: Sql) => sql`(${value}::bigint / 100.0)::numeric(20, 2)::text`,
  flag: (value: Sql) => sql`${value}::boolean::text`,
  time: (value: Sql) => sql`to_char(${value}::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
} as const;
type Form = keyof typeof forms;

type Column = readonly [name: string, form: Form, value: Sql];

/** One kind of file. */
interface ExportKind {
  /** `from … where …` of all its rows. */
  readonly rows: (selection: Selection) => Sql;
  /** What orders them, without ties, and of which types it is: an index follows it. */
  readonly order: readonly [Sql, string, Sql, string];
  readonly columns: (selection: Selection) => readonly Column[];
  /** Most rows of one file. */
  readonly mostRows: number;
}

const ofProviders = 50_000;
const ofStaff = 1_000_000;

const within = (moment: Sql, { from, to, asOf }: Selection) =>
  sql`${moment} >= ${from}::timestamptz and ${moment} < ${to}::timestamptz and ${moment} <= ${asOf}::timestamptz`;

/** The value, if it was there at the time of the request. */
const asOf = (value: Sql, since: Sql, selection: Selection) =>
  sql`case when ${since} <= ${selection.asOf}::timestamptz then ${value} end`;

const sale = sql`v_assignment a join v_level v on v.id = a.level_id join v_niche n on n.id = v.niche_id`;
const marks = sql`left join v_inbox_mark m on m.assignment_id = a.id`;
const saleOrder = [sql`a.assigned_at`, 'timestamptz', sql`a.id`, 'uuid'] as const;

function marksAsOf(selection: Selection): Column[] {
  return [
    ['viewed_at', 'time', asOf(sql`m.viewed_at`, sql`m.viewed_at`, selection)],
    ['decision', 'text', asOf(sql`m.decision`, sql`m.decided_at`, selection)],
    ['decided_at', 'time', asOf(sql`m.decided_at`, sql`m.decided_at`, selection)],
    ['decline_reason', 'text', asOf(sql`m.decline_reason`, sql`m.decided_at`, selection)],
    ['refunded_at', 'time', asOf(sql`a.refunded_at`, sql`a.refunded_at`, selection)],
  ];
}

const person: Column[] = [
  ['name', 'text', sql`p.name`],
  ['email', 'text', sql`p.email`],
  ['phone', 'text', sql`p.phone_e164`],
  ['areas', 'text', sql`array_to_string(p.area_codes, ' ')`],
  ['form', 'text', sql`p.form::text`],
];

const entry: Column[] = [
  ['entry_id', 'id', sql`e.id`],
  ['number', 'number', sql`e.account_version`],
  ['at', 'time', sql`e.created_at`],
  ['kind', 'text', sql`e.kind`],
  ['amount', 'cents', sql`e.amount_cents`],
  ['balance_after', 'cents', sql`e.balance_after_cents`],
  ['assignment_id', 'id', sql`e.assignment_id`],
  ['payment_id', 'id', sql`e.payment_id`],
];
const entryOrder = [sql`e.provider_id`, 'uuid', sql`e.account_version`, 'int'] as const;

const inbox: ExportKind = {
  rows: (selection) => sql`
    from ${sale} join v_lead_person p on p.lead_id = a.lead_id ${marks}
    where a.provider_id = ${selection.providerId}::uuid and ${within(sql`a.assigned_at`, selection)}`,
  order: saleOrder,
  columns: (selection) => [
    ['assignment_id', 'id', sql`a.id`],
    ['lead_id', 'id', sql`a.lead_id`],
    ['bought_at', 'time', sql`a.assigned_at`],
    ['niche', 'text', sql`n.name`],
    ['level', 'text', sql`v.name`],
    ['price', 'cents', sql`a.price_cents`],
    ...person,
    ...marksAsOf(selection),
  ],
  mostRows: ofProviders,
};

const balance: ExportKind = {
  rows: (selection) => sql`
    from v_ledger_entry e where e.provider_id = ${selection.providerId}::uuid and ${within(sql`e.created_at`, selection)}`,
  order: entryOrder,
  columns: () => entry,
  mostRows: ofProviders,
};

const leads: ExportKind = {
  rows: (selection) => sql`
    from v_lead l join v_lead_person p on p.lead_id = l.id join v_niche n on n.id = l.niche_id
    where ${within(sql`l.created_at`, selection)}`,
  order: [sql`l.created_at`, 'timestamptz', sql`l.id`, 'uuid'],
  columns: (selection) => [
    ['lead_id', 'id', sql`l.id`],
    ['submitted_at', 'time', sql`l.created_at`],
    ['niche', 'text', sql`n.name`],
    ['status_now', 'text', sql`l.status`],
    ...person,
    ['source', 'text', sql`l.source`],
    ['campaign', 'text', sql`l.campaign`],
    ['risk_flags', 'text', sql`array_to_string(l.risk_flags, ' ')`],
    ['is_test', 'flag', sql`l.is_test`],
    ['duplicate_of', 'id', sql`l.duplicate_of`],
    ['confirmed_at', 'time', asOf(sql`l.confirmed_at`, sql`l.confirmed_at`, selection)],
    ['approved_at', 'time', asOf(sql`l.approved_at`, sql`l.approved_at`, selection)],
    ['rejected_at', 'time', asOf(sql`l.rejected_at`, sql`l.rejected_at`, selection)],
    ['sold_at', 'time', asOf(sql`l.distributed_at`, sql`l.distributed_at`, selection)],
    ['recipients', 'number', sql`coalesce(${asOf(sql`l.assigned_count`, sql`l.distributed_at`, selection)}, 0)`],
    ['marked_bad_at', 'time', asOf(sql`l.bad_at`, sql`l.bad_at`, selection)],
  ],
  mostRows: ofStaff,
};

const assignments: ExportKind = {
  rows: (selection) => sql`
    from ${sale} join v_provider b on b.id = a.provider_id ${marks} where ${within(sql`a.assigned_at`, selection)}`,
  order: saleOrder,
  columns: (selection) => [
    ['assignment_id', 'id', sql`a.id`],
    ['lead_id', 'id', sql`a.lead_id`],
    ['provider_id', 'id', sql`a.provider_id`],
    ['company', 'text', sql`b.company`],
    ['niche', 'text', sql`n.name`],
    ['level', 'text', sql`v.name`],
    ['sold_at', 'time', sql`a.assigned_at`],
    ['price', 'cents', sql`a.price_cents`],
    ...marksAsOf(selection),
  ],
  mostRows: ofStaff,
};

const ledger: ExportKind = {
  rows: (selection) => sql`
    from v_ledger_entry e join v_provider b on b.id = e.provider_id where ${within(sql`e.created_at`, selection)}`,
  order: entryOrder,
  columns: () => [
    ['provider_id', 'id', sql`e.provider_id`],
    ['company', 'text', sql`b.company`],
    ...entry,
    ['actor', 'text', sql`e.actor`],
    ['memo', 'text', sql`e.memo`],
  ],
  mostRows: ofStaff,
};

export const exportKinds: Readonly<Record<ExportType, ExportKind>> = { inbox, balance, leads, assignments, ledger };

/** Those whose rows tell of persons. */
export const personalTypes: ReadonlySet<ExportType> = new Set<ExportType>(['inbox', 'leads', 'ledger']);

/** How many rows a file has; one more than `mostRows` stands for all beyond. */
export function countRows(type: ExportType, selection: Selection, mostRows: number): Sql {
  const { rows } = exportKinds[type];
  return sql`select count(*) as rows from (select ${rows(selection)} limit ${mostRows + 1}::int) counted`;
}

/** A row as a page has it: its cells as one JSON text, and where it stands. */
export interface PageRow {
  readonly cells: string;
  readonly position_1: string;
  readonly position_2: string;
}

/**
 * A page of rows behind a position. A row is one text until its line is written: a page of objects with twenty texts each lives long enough to
 * be taken for memory that stays (measured with a million leads: 80 MB more).
 */
export function pageOfRows(
  type: ExportType,
  selection: Selection,
  { after, limit }: { readonly after: Position | undefined; readonly limit: number },
): Sql {
  const { rows, order, columns } = exportKinds[type];
  const [first, firstType, second, secondType] = order;
  const behind = after
    ? sql`and (${first}, ${second}) > (${after[0]}::${raw(firstType)}, ${after[1]}::${raw(secondType)})`
    : sql``;
  const cells = columns(selection).map(([, form, value]) => forms[form](value));
  return sql`
    select json_build_array(${join(cells)})::text as cells, ${first}::text as position_1, ${second}::text as position_2
    ${rows(selection)} ${behind}
    order by ${first}, ${second} limit ${limit}::int`;
}

/** The first line of a file. */
export function columnNames(type: ExportType, selection: Selection): string[] {
  return exportKinds[type].columns(selection).map(([name]) => name);
}

/** What makes the line of a row. */
export function lineWriter(type: ExportType, selection: Selection): (row: Pick<PageRow, 'cells'>) => string {
  const isText = exportKinds[type].columns(selection).map(([, form]) => form === 'text');
  return (row) => {
    let line = '';
    for (const [at, value] of (JSON.parse(row.cells) as (string | null)[]).entries()) {
      if (at > 0) line += ',';
      if (value !== null) line += isText[at] ? csvText(value) : value;
    }
    return `${line}\r\n`;
  };
}
