import type { FastifyInstance } from 'fastify';
import { countedUpTo, exportLimits } from '../dead-letter-search/index.ts';
import { mostItems } from '../redrives/index.ts';
import { type Authorization, freshForMs } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { type Me, me } from './contract.ts';
import { operation } from './route.ts';

const limits: Me['limits'] = {
  list_rows: 200,
  paged_rows: countedUpTo,
  export_rows: exportLimits.rows,
  redrive_items: mostItems,
  mfa_fresh_s: freshForMs / 1_000,
};

/** What a screen asks first. */
export function meRoute(app: FastifyInstance, { environment = 'development' }: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: '/me',
      permission: 'queue.read',
      summary: 'Who asks, what they may do, until when their second factor is fresh, and the limits',
      answer: me,
    },
    async ({ authorization }) => meOf(authorization, environment),
  );
}

function meOf({ actor, permissions, secondFactorAt }: Authorization, environment: string): Me {
  const freshUntil = secondFactorAt && new Date(secondFactorAt.getTime() + freshForMs);
  return {
    actor: { id: actor.id, name: actor.name, via: actor.via },
    permissions: [...permissions].sort(),
    mfa_fresh_until: freshUntil?.toISOString() ?? null,
    environment,
    limits,
  };
}
