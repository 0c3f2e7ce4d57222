import { join, type Queryable, type Sql, sql } from '@fmhl/ops';
import type { FormSchema } from './contract.ts';

export interface NicheRow {
  id: string;
  slug: string;
  name: string;
  status: 'active' | 'paused';
  form_schema: FormSchema;
  consent_text: string;
  consent_version: number;
  dedup_days: number;
  report_window_days: number;
  version: number;
  created_at: Date;
}

const nicheColumns = sql`id, slug, name, status, form_schema, consent_text, consent_version, dedup_days, report_window_days, version, created_at`;

/** Niches in order of their slugs, behind `after`. */
export async function listNiches(
  db: Queryable,
  { after, limit, onlyActive }: { after: string | undefined; limit: number; onlyActive: boolean },
): Promise<NicheRow[]> {
  const { rows } = await db.query<NicheRow>(sql`
    select ${nicheColumns} from niche
    where slug > ${after ?? ''} ${onlyActive ? sql`and status = 'active'` : sql``}
    order by slug limit ${limit}`);
  return rows;
}

export async function nicheBySlug(db: Queryable, slug: string): Promise<NicheRow | undefined> {
  const { rows } = await db.query<NicheRow>(sql`select ${nicheColumns} from niche where slug = ${slug}`);
  return rows[0];
}

/** The row, locked: the mutex of everything that sells in the niche. */
export async function lockNiche(tx: Queryable, id: string): Promise<NicheRow | undefined> {
  const { rows } = await tx.query<NicheRow>(sql`select ${nicheColumns} from niche where id = ${id} for no key update`);
  return rows[0];
}

/** What a caller may leave to the column's default. */
export type Columns = Readonly<Record<string, string | number | undefined>>;

const given = (columns: Columns) => Object.entries(columns).filter(([, value]) => value !== undefined);

const nicheColumn: Readonly<Record<string, Sql>> = {
  slug: sql`slug`,
  name: sql`name`,
  status: sql`status`,
  form_schema: sql`form_schema`,
  consent_text: sql`consent_text`,
  consent_version: sql`consent_version`,
  dedup_days: sql`dedup_days`,
  report_window_days: sql`report_window_days`,
};

const levelColumn: Readonly<Record<string, Sql>> = {
  name: sql`name`,
  ord: sql`ord`,
  max_recipients: sql`max_recipients`,
  status: sql`status`,
};

function column(known: Readonly<Record<string, Sql>>, name: string): Sql {
  const found = known[name];
  if (!found) throw new TypeError(`no column ${name}`);
  return found;
}

/** The new row, or undefined when the slug is taken. */
export async function insertNiche(tx: Queryable, columns: Columns): Promise<NicheRow | undefined> {
  const entries = given(columns);
  const { rows } = await tx.query<NicheRow>(sql`
    insert into niche (${join(entries.map(([name]) => column(nicheColumn, name)))})
    values (${join(entries.map(([, value]) => value))})
    on conflict (slug) do nothing
    returning ${nicheColumns}`);
  return rows[0];
}

export async function updateNiche(tx: Queryable, id: string, columns: Columns): Promise<NicheRow> {
  const sets = given(columns).map(([name, value]) => sql`${column(nicheColumn, name)} = ${value}`);
  const { rows } = await tx.query<NicheRow>(sql`
    update niche set ${join([...sets, sql`version = version + 1`, sql`updated_at = clock_timestamp()`])}
    where id = ${id} returning ${nicheColumns}`);
  return rows[0] as NicheRow;
}

export interface LevelRow {
  id: string;
  niche_id: string;
  niche: string;
  name: string;
  ord: number;
  price_cents: number;
  max_recipients: number;
  status: 'active' | 'retired';
  version: number;
}

const levels = sql`
  select l.id, l.niche_id, n.slug as niche, l.name, l.ord, l.price_cents, l.max_recipients, l.status, l.version
  from level l join niche n on n.id = l.niche_id`;

export interface LevelFilter {
  niche: string | undefined;
  /** Only what can be subscribed to now. */
  onlyActive: boolean;
  after: readonly [niche: string, ord: number] | undefined;
  limit: number;
}

/** Levels in order of niche and `ord`. */
export async function listLevels(db: Queryable, { niche, onlyActive, after, limit }: LevelFilter): Promise<LevelRow[]> {
  const [slug, ord] = after ?? ['', 0];
  const { rows } = await db.query<LevelRow>(sql`
    ${levels}
    where (n.slug, l.ord) > (${slug}, ${ord}::int)
      ${niche === undefined ? sql`` : sql`and n.slug = ${niche}`}
      ${onlyActive ? sql`and l.status = 'active' and n.status = 'active'` : sql``}
    order by n.slug, l.ord limit ${limit}`);
  return rows;
}

export async function levelById(db: Queryable, id: string): Promise<LevelRow | undefined> {
  const { rows } = await db.query<LevelRow>(sql`${levels} where l.id = ${id}`);
  return rows[0];
}

export interface LevelDraft {
  niche_id: string;
  name: string;
  ord: number;
  price_cents: number;
  max_recipients: number;
}

/** The id of the new row. Throws a unique violation of `level_ord_taken` or `level_name_taken`. */
export async function insertLevel(tx: Queryable, draft: LevelDraft): Promise<string> {
  const { rows } = await tx.query<{ id: string }>(sql`
    insert into level (niche_id, name, ord, price_cents, max_recipients)
    values (${draft.niche_id}, ${draft.name}, ${draft.ord}, ${draft.price_cents}, ${draft.max_recipients})
    returning id`);
  return (rows[0] as { id: string }).id;
}

/** False when the version is no longer the one seen. Throws as {@link insertLevel} does. */
export async function updateLevel(tx: Queryable, seen: LevelRow, columns: Columns): Promise<boolean> {
  const sets = given(columns).map(([name, value]) => sql`${column(levelColumn, name)} = ${value}`);
  const { rowCount } = await tx.query(sql`
    update level set ${join([...sets, sql`version = version + 1`, sql`updated_at = clock_timestamp()`])}
    where id = ${seen.id} and version = ${seen.version}`);
  return rowCount === 1;
}

/** The constraint a statement broke by repeating what must be unique; undefined for every other error. */
export function repeatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as { code?: unknown; constraint?: unknown };
  return code === '23505' && typeof constraint === 'string' ? constraint : undefined;
}
