import type { Sold } from '../live/journeys.ts';
import type { Buyer, Market } from '../live/market.ts';

/** Reports those of its leads that a buyer has bought. Answers the ids of the assignments; fewer than asked for after ten in a day. */
export async function reportAll(
  buyer: Buyer,
  sold: readonly Sold[],
  reason: 'spam' | 'unreachable',
): Promise<string[]> {
  const own = sold.flatMap(({ assignments }) => assignments.filter(({ provider_id }) => provider_id === buyer.id));
  const reported: string[] = [];
  for (const { id } of own) {
    const body = { reason, notes: 'Nobody answers under this number' };
    const { status } = await buyer.caller.ask('POST', `/provider/inbox/${id}/report`, { body });
    if (status === 201) reported.push(id);
  }
  return reported;
}

/** The one who bought most of them. */
export function keenest({ buyers }: Market, sold: readonly Sold[]): Buyer {
  const bought = ({ id }: Buyer) =>
    sold.flatMap(({ assignments }) => assignments).filter(({ provider_id }) => provider_id === id).length;
  const [first] = buyers.toSorted((a, b) => bought(b) - bought(a));
  if (!first) throw new Error('nobody buys in this trade');
  return first;
}
