import { type Queryable, type Sql, sql } from '@fmhl/ops';
import type { z } from 'zod';
import { maskEmail } from '../../email-address.ts';
import { cutPage, decodeCursor, encodeCursor, momentCursor } from '../../paging.ts';
import type { EmailItem, EmailQuery, emailList } from './contract.ts';

/** Mails that one page looks at, at most: where few of them fit, a page is short, and the next goes on behind it. */
export const examinedAtMost = 20_000;

type Row = Omit<EmailItem, 'to_masked' | 'related' | 'created_at' | 'sent_at'> & {
  to_address: string;
  related_type: string | null;
  related_id: string | null;
  created_at: Date;
  sent_at: Date | null;
  position: string;
};

/** One page of the mails, newest first. Every page costs about the same, however rare what it asks for is. */
export async function listEmails(db: Queryable, query: EmailQuery): Promise<z.infer<typeof emailList>> {
  const { limit } = query;
  const { rows } = await db.query<Row>(emailsStatement(query));
  const page = cutPage(rows, limit, { item: viewEmail, cursor: ({ position, id }) => [position, id] });
  if (page.pagination.next_cursor !== null || query.related !== undefined) return page;
  const next_cursor = await behindExamined(db, query);
  return { ...page, pagination: { limit, next_cursor } };
}

const columns = sql`
  m.id, m.template, m.template_version, m.to_address, m.related_type, m.related_id, m.status, m.attempts, m.smtp_code, m.last_error,
  m.resends, m.created_at, m.sent_at, m.created_at::text as position`;

export function emailsStatement(query: EmailQuery) {
  const { status, template, limit } = query;
  return sql`
    select ${columns} from (${examined(query)}) m
    where true ${status ? sql`and m.status = ${status}` : sql``} ${template ? sql`and m.template = ${template}` : sql``}
    order by m.created_at desc, m.id desc limit ${limit + 1}::int`;
}

/** What a page looks at: the mails of one thing, of which there are few, or the next of all. */
function examined({ cursor, related }: EmailQuery): Sql {
  const after = decodeCursor(cursor, momentCursor);
  const behind = after ? sql`and (created_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``;
  const [type, id] = related?.split(':') ?? [];
  if (id) return sql`select * from email where related_type = ${type} and related_id = ${id}::uuid ${behind}`;
  return sql`select * from email where true ${behind} order by created_at desc, id desc limit ${examinedAtMost}::int`;
}

/** Where the next page begins, when this one has not looked at all mails. */
async function behindExamined(db: Queryable, query: EmailQuery): Promise<string | null> {
  const { rows } = await db.query<{ position: string; id: string }>(sql`
    select created_at::text as position, id from (${examined(query)}) m
    order by created_at desc, id desc offset ${examinedAtMost - 1}::int limit 1`);
  const [last] = rows;
  return last ? encodeCursor([last.position, last.id]) : null;
}

function viewEmail({ to_address, related_type, related_id, position: _position, ...row }: Row): EmailItem {
  return {
    ...row,
    to_masked: maskEmail(to_address),
    related: related_type && related_id ? { type: related_type, id: related_id } : null,
    created_at: row.created_at.toISOString(),
    sent_at: row.sent_at?.toISOString() ?? null,
  };
}
