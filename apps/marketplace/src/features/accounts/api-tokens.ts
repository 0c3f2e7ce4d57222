import { createHash, randomBytes } from 'node:crypto';
import { type Actor, audit, type Authorization, type Queryable, type Tx } from '@fmhl/ops';
import { permissionsOf } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { type ApiTokenRow, insertApiToken, liveApiToken, revokeApiToken, touchApiToken } from './api-token-queries.ts';

const prefix = 'fmhl_';
const dayMs = 86_400_000;
const notedEveryMs = 60_000;
/** Further back than any second factor that counts as fresh. */
const staleForMs = dayMs;

/** 32 random bytes behind a prefix by which scanners of source code know it. */
function createApiToken(): string {
  return prefix + randomBytes(32).toString('base64url');
}

const sha256Of = (token: string): Buffer => createHash('sha256').update(token).digest();

export interface NewApiToken {
  readonly actor: Actor;
  /** What the actor may do: the scopes must be among it. */
  readonly permissions: ReadonlySet<string>;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresInDays: number;
  readonly now: Date;
}

/** Makes a token for a machine that acts as the actor. It is answered here and never stored. Refuses `missing_permission`. */
export async function addApiToken(tx: Tx, draft: NewApiToken): Promise<{ token: string; row: ApiTokenRow }> {
  const { actor, permissions, name, now } = draft;
  const scopes = [...new Set(draft.scopes)];
  const missing = scopes.find((scope) => !permissions.has(scope));
  if (missing !== undefined) throw refuse('missing_permission', { permission: missing });
  const token = createApiToken();
  const expiresAt = new Date(now.getTime() + draft.expiresInDays * dayMs);
  const row = await insertApiToken(tx, {
    userId: actor.id,
    name,
    tokenSha256: sha256Of(token),
    scopes,
    now,
    expiresAt,
  });
  const details = { scopes, expires_at: expiresAt.toISOString() };
  await audit(tx, { actor, action: 'token.created', targetType: 'api_token', targetId: row.id, details });
  return { token, row };
}

/** Ends a token of the actor; one that has ended stays so. Refuses `not_found` for the token of another. */
export async function endApiToken(tx: Tx, { id, actor, now }: { id: string; actor: Actor; now: Date }): Promise<void> {
  const outcome = await revokeApiToken(tx, { id, userId: actor.id, now });
  if (outcome === undefined) throw refuse('not_found');
  if (outcome === 'gone') return;
  await audit(tx, { actor, action: 'token.revoked', targetType: 'api_token', targetId: id });
}

/**
 * Who acts with an API token: its user, with those of their permissions that the token names. Its second factor counts as shown, and as
 * too long ago for what needs a fresh one. Undefined for a text that is none of our tokens, or is one that has ended.
 */
export async function authorizeToken(db: Queryable, token: string, now: Date): Promise<Authorization | undefined> {
  const row = await liveApiToken(db, sha256Of(token), now);
  if (!row) return undefined;
  const { id, user_id, display_name, role, scopes, last_used_at: usedAt } = row;
  if (usedAt === null || now.getTime() - usedAt.getTime() >= notedEveryMs) await touchApiToken(db, { id, usedAt, now });
  const held: readonly string[] = permissionsOf[role] ?? [];
  return {
    actor: { id: user_id, name: `${display_name} (token ${id.slice(0, 8)})`, via: 'http' },
    permissions: new Set(scopes.filter((scope) => held.includes(scope))),
    secondFactorAt: new Date(Math.min(row.created_at.getTime(), now.getTime() - staleForMs)),
  };
}
