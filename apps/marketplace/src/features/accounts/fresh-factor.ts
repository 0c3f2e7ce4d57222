import { freshForMs } from '@fmhl/ops';
import type { FastifyRequest } from 'fastify';
import { refuse } from '../../errors.ts';
import { currentSession } from '../auth/index.ts';

/**
 * For a route about the caller's own account: asks for a session (an API token does not do) whose second factor was shown within the last
 * 15 minutes. A hook, so that who is refused learns nothing of the body's faults. Refuses `no_session`, `mfa_required`, `mfa_stale`.
 */
export function freshSession({ now }: { now: () => Date }) {
  return async (request: FastifyRequest): Promise<void> => {
    const { mfa_at: shownAt } = currentSession(request);
    if (!shownAt) throw refuse('mfa_required');
    if (now().getTime() - shownAt.getTime() > freshForMs) throw refuse('mfa_stale');
  };
}
