import { type Cell, join, raw, type Sql, sql } from '@fmhl/ops';
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

/** A value as the driver gives it. `cents` are written as dollars with two digits. */
type Column = readonly [name: string, value: Sql, form?: 'cents'];

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
    ['viewed_at', asOf(sql`m.viewed_at`, sql`m.viewed_at`, selection)],
    ['decision', asOf(sql`m.decision`, sql`m.decided_at`, selection)],
    ['decided_at', asOf(sql`m.decided_at`, sql`m.decided_at`, selection)],
    ['decline_reason', asOf(sql`m.decline_reason`, sql`m.decided_at`, selection)],
    ['refunded_at', asOf(sql`a.refunded_at`, sql`a.refunded_at`, selection)],
  ];
}

const person: Column[] = [
  ['name', sql`p.name`],
  ['email', sql`p.email`],
  ['phone', sql`p.phone_e164`],
  ['areas', sql`array_to_string(p.area_codes, ' ')`],
  ['form', sql`p.form::text`],
];

const entry: Column[] = [
  ['entry_id', sql`e.id`],
  ['number', sql`e.account_version`],
  ['at', sql`e.created_at`],
  ['kind', sql`e.kind`],
  ['amount', sql`e.amount_cents`, 'cents'],
  ['balance_after', sql`e.balance_after_cents`, 'cents'],
  ['assignment_id', sql`e.assignment_id`],
  ['payment_id', sql`e.payment_id`],
];
const entryOrder = [sql`e.provider_id`, 'uuid', sql`e.account_version`, 'int'] as const;

const inbox: ExportKind = {
  rows: (selection) => sql`
    from ${sale} join v_lead_person p on p.lead_id = a.lead_id ${marks}
    where a.provider_id = ${selection.providerId}::uuid and ${within(sql`a.assigned_at`, selection)}`,
  order: saleOrder,
  columns: (selection) => [
    ['assignment_id', sql`a.id`],
    ['lead_id', sql`a.lead_id`],
    ['bought_at', sql`a.assigned_at`],
    ['niche', sql`n.name`],
    ['level', sql`v.name`],
    ['price', sql`a.price_cents`, 'cents'],
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
    ['lead_id', sql`l.id`],
    ['submitted_at', sql`l.created_at`],
    ['niche', sql`n.name`],
    ['status_now', sql`l.status`],
    ...person,
    ['source', sql`l.source`],
    ['campaign', sql`l.campaign`],
    ['risk_flags', sql`array_to_string(l.risk_flags, ' ')`],
    ['is_test', sql`l.is_test`],
    ['duplicate_of', sql`l.duplicate_of`],
    ['confirmed_at', asOf(sql`l.confirmed_at`, sql`l.confirmed_at`, selection)],
    ['approved_at', asOf(sql`l.approved_at`, sql`l.approved_at`, selection)],
    ['rejected_at', asOf(sql`l.rejected_at`, sql`l.rejected_at`, selection)],
    ['sold_at', asOf(sql`l.distributed_at`, sql`l.distributed_at`, selection)],
    ['recipients', sql`coalesce(${asOf(sql`l.assigned_count`, sql`l.distributed_at`, selection)}, 0)`],
    ['marked_bad_at', asOf(sql`l.bad_at`, sql`l.bad_at`, selection)],
  ],
  mostRows: ofStaff,
};

const assignments: ExportKind = {
  rows: (selection) => sql`
    from ${sale} join v_provider b on b.id = a.provider_id ${marks} where ${within(sql`a.assigned_at`, selection)}`,
  order: saleOrder,
  columns: (selection) => [
    ['assignment_id', sql`a.id`],
    ['lead_id', sql`a.lead_id`],
    ['provider_id', sql`a.provider_id`],
    ['company', sql`b.company`],
    ['niche', sql`n.name`],
    ['level', sql`v.name`],
    ['sold_at', sql`a.assigned_at`],
    ['price', sql`a.price_cents`, 'cents'],
    ...marksAsOf(selection),
  ],
  mostRows: ofStaff,
};

const ledger: ExportKind = {
  rows: (selection) => sql`
    from v_ledger_entry e join v_provider b on b.id = e.provider_id where ${within(sql`e.created_at`, selection)}`,
  order: entryOrder,
  columns: () => [
    ['provider_id', sql`e.provider_id`],
    ['company', sql`b.company`],
    ...entry,
    ['actor', sql`e.actor`],
    ['memo', sql`e.memo`],
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

/** A page of rows behind a position. Each row has its own as `position_1` and `position_2`. */
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
  const selected = columns(selection).map(([name, value]) => sql`${value} as ${raw(name)}`);
  return sql`
    select ${join(selected)}, ${first}::text as position_1, ${second}::text as position_2
    ${rows(selection)} ${behind}
    order by ${first}, ${second} limit ${limit}::int`;
}

/** The first line of a file. */
export function columnNames(type: ExportType, selection: Selection): string[] {
  return exportKinds[type].columns(selection).map(([name]) => name);
}

/** What makes the cells of a row, in the order of the columns. */
export function cellReader(type: ExportType, selection: Selection): (row: Readonly<Record<string, Cell>>) => Cell[] {
  const columns = exportKinds[type].columns(selection).map(([name, , form]) => ({ name, isCents: form === 'cents' }));
  return (row) => columns.map(({ name, isCents }) => (isCents ? dollarsOf(row[name]) : row[name]));
}

/** Cents as a decimal number: -1500 is -15.00. */
function dollarsOf(cents: Cell): Cell {
  if (typeof cents !== 'number') return cents;
  const whole = Math.trunc(Math.abs(cents) / 100);
  return { digits: `${cents < 0 ? '-' : ''}${whole}.${String(Math.abs(cents) % 100).padStart(2, '0')}` };
}
