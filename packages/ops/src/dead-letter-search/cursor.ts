import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Queryable, sql } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';

/** Where a page of a list begins. */
export interface Cursor {
  readonly sort: string;
  /** Values of the sort columns of the row beside which the page begins. */
  readonly position: readonly (string | number)[];
  /** `next`: after that row, `prev`: before it. */
  readonly towards: 'next' | 'prev';
  /** Moment the list was begun, ISO 8601: relative times of its filter keep their meaning on every page. */
  readonly begun: string;
}

/** The list that a cursor belongs to. A cursor of another list is refused. */
export interface CursorScope {
  readonly sort: string;
  /** Canonical text of the filter, with whatever else selects. */
  readonly filter: string;
}

/** Signs cursors, so that nobody else can write one, and reads them back. */
export interface Cursors {
  sign(cursor: Omit<Cursor, 'sort'>, scope: CursorScope): Promise<string>;
  /** Throws refusal `cursor_invalid` for a cursor that was changed, or that belongs to another list. */
  read(text: string, scope: CursorScope): Promise<Cursor>;
}

/** Cursors of one database. Its key is read once, and is the same for every process. */
export function openCursors(db: Queryable): Cursors {
  let key: Promise<string> | undefined;
  const signature = async (body: string) => {
    key ??= readKey(db).catch((error: unknown) => {
      key = undefined;
      throw error;
    });
    return createHmac('sha256', await key)
      .update(body)
      .digest('base64url');
  };
  return {
    async sign({ position, towards, begun }, { sort, filter }) {
      const body = Buffer.from(JSON.stringify([sort, position, towards, begun, hashOf(filter)])).toString('base64url');
      return `${body}.${await signature(body)}`;
    },
    async read(text, scope) {
      const [body = '', given = ''] = text.split('.');
      const expected = Buffer.from(await signature(body));
      const signed = Buffer.from(given);
      if (signed.length !== expected.length || !timingSafeEqual(signed, expected)) {
        throw refuse('cursor_invalid', { why: 'it was not made by this server' });
      }
      return readBody(body, scope);
    },
  };
}

function readBody(body: string, scope: CursorScope): Cursor {
  const [sort, position, towards, begun, hash] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [
    string,
    Cursor['position'],
    Cursor['towards'],
    string,
    string,
  ];
  if (hash !== hashOf(scope.filter)) throw refuse('cursor_invalid', { why: 'it belongs to another filter' });
  if (sort !== scope.sort) throw refuse('cursor_invalid', { why: 'it belongs to another sort' });
  return { sort, position, towards, begun };
}

function hashOf(filter: string): string {
  return createHash('sha256').update(filter).digest('base64url').slice(0, 22);
}

async function readKey(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ value: string }>(sql`select value from ops.signing_key where name = 'cursor'`);
  if (!rows[0]) throw new Error('ops.signing_key holds no key "cursor"');
  return rows[0].value;
}
