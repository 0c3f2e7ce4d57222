/** What a host's compiler must refuse. Given to the compiler as text, beside the packed library and nothing else of ours. */
export const mistakes = [
  `await enqueue(tx, orders, 'ship', { order: 'x' }, { key: 'ship-1' });`,
  `await enqueue(tx, orders, 'sink', { order_id: 'x' }, { key: 'ship-1' });`,
  `await enqueue(db, orders, 'ship', { order_id: 'x' }, { key: 'ship-1' });`,
  `openOps({ db, redisUrl: '', queues: [orders] });`,
  `const shape: typeof queueOverview.shape.queues = 1;`,
  `await openTestPlane({ redisUrl: '', queues: [orders] });`,
];

/** A module in which each mistake stands under a line that says so: the compiler fails when one of them is none. */
export const strangersModule = `
import { defineQueue, enqueue, openDatabase, openOps, type Tx } from '@fmhl/ops';
import { queueOverview } from '@fmhl/ops/contract';
import { openTestPlane } from '@fmhl/ops/testing';
import { z } from 'zod';

declare const tx: Tx;
const db = openDatabase({ url: '' });
const kinds = { ship: { schema: z.object({ order_id: z.string() }), sideEffect: 'guarded' } } as const;
const orders = defineQueue({ name: 'orders', attempts: 1, backoffMs: [], kinds });
await enqueue(tx, orders, 'ship', { order_id: 'x' }, { key: 'ship-1' });
${mistakes.map((line) => `// @ts-expect-error a host may not write this\n${line}`).join('\n')}
`;
