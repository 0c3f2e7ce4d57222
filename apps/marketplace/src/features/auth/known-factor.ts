import { freshForMs, type Queryable } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import { type Factor, factorsOf } from '../second-factor/index.ts';
import type { SessionRow } from './queries.ts';

/** Refuses `mfa_required`, and `mfa_stale` for a second factor that was shown more than 15 minutes ago. */
export function requireFreshFactor({ mfa_at: shownAt }: Pick<SessionRow, 'mfa_at'>, now: Date): void {
  if (!shownAt) throw refuse('mfa_required');
  if (now.getTime() - shownAt.getTime() > freshForMs) throw refuse('mfa_stale');
}

/** Who has a second factor adds no other without it. Answers what there is. Refuses as {@link requireFreshFactor}. */
export async function requireKnownFactor(db: Queryable, session: SessionRow, now: Date): Promise<Factor[]> {
  const factors = await factorsOf(db, session.user_id);
  if (factors.length > 0) requireFreshFactor(session, now);
  return factors;
}
