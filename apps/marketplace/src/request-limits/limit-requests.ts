import type { FastifyInstance, FastifyRequest } from 'fastify';
import { networkOf } from '../client-network.ts';
import { normaliseEmail } from '../email-address.ts';
import { refuse } from '../errors.ts';
import type { Limiter, Use } from './limiter.ts';
import type { Quota, Quotas } from './quota.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What strangers do here, counted by address and by mail address besides: each costs us a mail, or the hash of a password. */
    limit?: 'lead' | 'register';
  }
}

export interface RequestLimits {
  readonly limiter: Limiter;
  readonly quotas: Quotas;
}

/**
 * Refuses what is beyond a quota with 429 `rate_limited` and `Retry-After`. Addresses are counted before anything is looked up, accounts
 * once it is known who asks, and both before the body is read. The probes are guarded by themselves.
 */
export function limitRequests(server: FastifyInstance, { limiter, quotas }: RequestLimits): void {
  const take = async (uses: readonly Use[]) => {
    const excess = await limiter.take(uses);
    if (!excess) return;
    const seconds = Math.max(1, Math.ceil(excess.retryAfterMs / 1_000));
    throw refuse('rate_limited', { limit: excess.name, retry_after_s: seconds });
  };
  server.addHook('onRequest', async (request) => {
    if (isProbe(request)) return;
    const address = { quota: quotas.address, subject: networkOf(request.ip) };
    await take([address, { quota: quotas.global, subject: 'all' }]);
  });
  server.addHook('preParsing', async (request) => {
    const account = request.authorization?.actor.id;
    if (account !== undefined) await take([{ quota: quotas.account, subject: account }]);
  });
  server.addHook('preHandler', async (request) => {
    const { limit } = request.routeOptions.config;
    if (limit) await take(usesOf(request, quotasByLimit(quotas)[limit]));
  });
}

function isProbe({ routeOptions: { url = '' } }: FastifyRequest): boolean {
  return url === '/metrics' || url.startsWith('/health');
}

interface StrangerQuotas {
  readonly address: Quota;
  readonly email: Quota;
}

const quotasByLimit = (quotas: Quotas): Record<'lead' | 'register', StrangerQuotas> => ({
  lead: { address: quotas.leads_address, email: quotas.leads_email },
  register: { address: quotas.register_address, email: quotas.register_email },
});

function usesOf({ ip, body }: FastifyRequest, quotas: StrangerQuotas): Use[] {
  const { email } = (body ?? {}) as { email?: unknown };
  const byAddress = { quota: quotas.address, subject: networkOf(ip) };
  if (typeof email !== 'string') return [byAddress];
  return [byAddress, { quota: quotas.email, subject: normaliseEmail(email) }];
}
