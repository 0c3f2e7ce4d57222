import { type Database, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nth } from '../../testing/nth.ts';
import { makeLevel, makeNiche } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { front, walk, walkStatement } from './walk.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;
let levelId: string;
const demand = {
  leadId: '00000000-0000-4000-8000-000000000001',
  areas: ['*', 'US', 'US-CA', 'US-941'],
  form: { rooms: 3 },
};

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  const niche = await makeNiche(db);
  levelId = (await makeLevel(db, { nicheId: niche.id })).id;
  const other = await makeLevel(db, { nicheId: niche.id });
  await manyProviders(6_000, [levelId, other.id]);
});
afterAll(() => world.close());

/** Every tenth covers California, the others somewhere else; a third filters by rooms. */
async function manyProviders(count: number, levelIds: string[]): Promise<void> {
  await db.query(sql`
    insert into identity.users (email, email_norm, password_hash, display_name, role)
    select 'p' || n || '@example.com', 'p' || n || '@example.com', 'none', 'P', 'provider' from generate_series(1, ${count}::int) n`);
  await db.query(
    sql`insert into provider (user_id, company, status) select id, 'P', 'active' from identity.users where role = 'provider'`,
  );
  await db.query(sql`
    insert into subscription (provider_id, level_id, status, filter_rules, vt)
    select p.id, l, 'active',
           case when random() < 0.33 then '[{"field": "rooms", "op": "gte", "value": 3}]'::jsonb end, (random() * 100000)::bigint
    from provider p, unnest(${levelIds}::uuid[]) l`);
  await db.query(sql`
    insert into subscription_area (level_id, area, subscription_id)
    select level_id, case when row_number() over () % 10 = 0 then 'US-CA' else 'US-' || lpad((100 + random() * 800)::int::text, 3, '0') end, id
    from subscription`);
  await db.query(sql`analyze`);
}

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Parent Relationship'?: string;
  'Subplan Name'?: string;
  Plans?: PlanNode[];
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

async function planOf(mode: 'force_custom_plan' | 'force_generic_plan'): Promise<PlanNode[]> {
  return db.transaction(async (tx) => {
    await tx.query(sql`select set_config('plan_cache_mode', ${mode}, true)`);
    const { text, values } = walkStatement(demand, { levelId, after: front, size: 14 });
    const name = `explained_${mode}`;
    await tx.query({ name: '', text: `prepare ${name} as ${text}`, values: [] });
    const literals = values.map(literalOf).join(', ');
    const { rows } = await tx.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>({
      name: '',
      text: `explain (format json) execute ${name}(${literals})`,
      values: [],
    });
    return nodesOf(nth(nth(rows, 0)['QUERY PLAN'], 0).Plan);
  });
}

function literalOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = Array.isArray(value) ? `{${value.join(',')}}` : String(value);
  return `'${text.replaceAll("'", "''")}'`;
}

describe('the walk', () => {
  it.each(['force_custom_plan', 'force_generic_plan'] as const)(
    'follows the order of the index, without sorting or reading whole tables (%s)',
    async (mode) => {
      // The rest of the statement counts what a walk to the end has read.
      const nodes = (await planOf(mode)).filter((node) => node['Subplan Name'] === 'CTE hit').flatMap(nodesOf);
      expect(nodes.filter((node) => /Sort/.test(node['Node Type']))).toEqual([]);
      expect(
        nodes.filter((node) => node['Node Type'] === 'Seq Scan' && node['Relation Name'] !== 'assignment'),
      ).toEqual([]);
      const scans = nodes
        .filter((node) => /^Index (Only )?Scan$/.test(node['Node Type']))
        .map((node) => node['Index Name']);
      expect(scans).toEqual(expect.arrayContaining(['subscription_walk', 'subscription_pkey', 'provider_pkey']));
    },
  );

  it('goes on behind its last place until the order ends, finds each match once, and counts what it read', async () => {
    const seen: string[] = [];
    let after: typeof front | null = front;
    let examined = 0;
    while (after) {
      const batch = await walk(db, demand, { levelId, after, size: 64 });
      seen.push(...batch.ids);
      examined += batch.examined;
      after = batch.ids.length === 64 ? batch.last : null;
    }
    const { rows } = await db.query<{ id: string }>(sql`
      select s.id from v_subscription s
      where s.level_id = ${levelId} and subscription_matches(s.filter_rules, ${JSON.stringify(demand.form)}::jsonb)
        and exists (select from v_subscription_area a where a.subscription_id = s.id and a.area = any(${demand.areas}::text[]))
      order by s.vt, s.id`);
    expect(seen).toEqual(rows.map((row) => row.id));
    expect(examined).toBe(6_000);
  });

  it('finds a subscription where it serves now', async () => {
    const { id } = await world.make.subscription({
      providerId: (await world.make.provider()).id,
      levelId: (await world.make.level({ nicheId: (await world.make.niche()).id })).id,
      areas: ['US-NY', 'US-TX'],
    });
    const found = async () => {
      const { rows } = await db.query<{ level_id: string; areas: string[] }>(
        sql`select level_id, areas from v_subscription where id = ${id}`,
      );
      const { level_id, areas } = nth(rows, 0);
      const batch = await walk(db, demand, { levelId: level_id, after: front, size: 2 });
      return [areas, batch.ids.length];
    };
    expect(await found()).toEqual([['US-NY', 'US-TX'], 0]);
    await db.query(
      sql`insert into subscription_area (level_id, area, subscription_id) select level_id, 'US-CA', id from subscription where id = ${id}`,
    );
    await db.query(sql`delete from subscription_area where subscription_id = ${id} and area = 'US-NY'`);
    expect(await found()).toEqual([['US-CA', 'US-TX'], 1]);
    await expect(
      db.query(sql`update subscription_area set area = 'US' where subscription_id = ${id}`),
    ).rejects.toMatchObject({
      code: '23001',
    });
  });
});
