import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql } from '@fmhl/ops';
import { planOf } from '../../testing/plan.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import type { ExportType } from './export-contract.ts';
import { exportKinds, pageOfRows } from './export-types.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

const id = '00000000-0000-4000-8000-000000000000';
const moment = '2026-01-15 00:00:00+00';
const starts = { timestamptz: moment, uuid: id, int: '1' };

describe('a page of an export', () => {
  it.each(Object.keys(exportKinds) as ExportType[])(
    'of %s goes on where the last one ended, along an index',
    async (type) => {
      const [, first, , second] = exportKinds[type].order;
      const after = [starts[first as keyof typeof starts], starts[second as keyof typeof starts]] as const;
      const range = { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z', asOf: new Date() };
      const page = pageOfRows(type, { ...range, providerId: id }, { after, limit: 1_000 });
      const plan = await world.db.transaction(async (tx) => {
        // Tables of tests are empty: only which ways there are can be seen, not which is the cheapest.
        for (const way of ['seqscan', 'bitmapscan', 'sort'])
          await tx.query({ name: '', text: `set local enable_${way} = off`, values: [] });
        await tx.query(sql`set local plan_cache_mode = force_custom_plan`);
        return planOf(tx, page);
      });
      const nodes = plan.map((node) => node['Node Type']);
      expect(nodes.filter((node) => /Sort|Bitmap/.test(node))).toEqual([]);
      expect(nodes.some((node) => node.startsWith('Index'))).toBe(true);
    },
  );
});
