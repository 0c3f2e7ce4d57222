import { randomUUID } from 'node:crypto';
import type { Ground } from '../live/ground.ts';
import type { Level } from '../live/market.ts';

/** Looks at what a new price would do, and sets it as one who knows: with the level's name where the change is large. */
export async function setPrice(
  { operator }: Ground,
  level: Pick<Level, 'id' | 'name'>,
  { price_cents, memo }: { price_cents: number; memo: string },
): Promise<void> {
  const preview = await operator.post<{ plan_hash: string }>(`/admin/levels/${level.id}/price-preview`, {
    price_cents,
  });
  const body = { price_cents, plan_hash: preview.body.plan_hash, memo, confirm: level.name };
  await operator.put(`/admin/levels/${level.id}/price`, body, randomUUID());
}
