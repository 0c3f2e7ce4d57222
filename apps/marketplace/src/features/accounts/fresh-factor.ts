import type { FastifyRequest } from 'fastify';
import { currentSession, requireFreshFactor } from '../auth/index.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asks for a session whose second factor was shown within the last 15 minutes, whatever the role. Set by {@link forFreshSessions}. */
    freshSession?: boolean;
  }
}

/**
 * What a route about the caller's own account declares, where it asks for a session (an API token does not do) whose second factor was
 * shown within the last 15 minutes. A hook, so that who is refused learns nothing of the body's faults. Refuses `no_session`,
 * `mfa_required`, `mfa_stale`.
 */
export function forFreshSessions({ now }: { now: () => Date }) {
  return {
    config: { access: 'signed_in', freshSession: true } as const,
    preValidation: async (request: FastifyRequest): Promise<void> => requireFreshFactor(currentSession(request), now()),
  };
}
