import type { FastifyInstance } from 'fastify';
import { type Queryable, sql } from '../postgres/index.ts';

/** Values that no reader without `dlq.reveal` may meet: they are nobody's, and found nowhere else. */
export const canaries = {
  name: 'Quillan Canaryfeather',
  mail: 'quillan.canaryfeather@example.com',
  phone: '+1 415 555 0187',
  card: '4111 1111 1111 1111',
  token: 'tok_canary_9f8e7d6c5b4a',
};

/** As others would write them: without blanks, in lower case, in parts. */
const tellTale = /canaryfeather|415\W{0,3}555\W?0187|4111\W?1111\W?1111\W?1111|tok_canary/i;

/** The canary in a text with some of what surrounds it, or undefined. */
export function canaryIn(text: string): string | undefined {
  const at = text.search(tellTale);
  return at === -1 ? undefined : text.slice(Math.max(0, at - 60), at + 60);
}

/** Every column of the schemas that holds a canary, as `table.column`. */
export async function columnsWithCanaries(db: Queryable, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ place: string; statement: string }>(sql`
    select format('%s.%s', c.table_name, c.column_name) as place,
           format('select 1 from %I.%I where %I::text ~* $1 limit 1', c.table_schema, c.table_name, c.column_name) as statement
    from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = any (${schemas}) and t.table_type = 'BASE TABLE'
      and c.data_type in ('text', 'jsonb', 'json', 'ARRAY', 'character varying')
    order by 1`);
  const found: string[] = [];
  for (const { place, statement } of rows) {
    const hits = await db.query({ name: '', text: statement, values: [tellTale.source] });
    if (hits.rows.length > 0) found.push(place);
  }
  return found;
}

/** Collects the routes that only read, as they are added. */
export function watchReads(app: FastifyInstance): string[] {
  const paths: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    if (method === 'GET') paths.push(url);
  });
  return paths;
}
