import type { Actor } from '../audit/index.ts';
import { opsPermissions } from '../permissions/index.ts';

/** Everything: who can read the database's settings can do all that the database can. */
class EveryPermission extends Set<string> {
  override has(): boolean {
    return true;
  }
}

/**
 * The `authorize` of a plane that only the person at this machine uses. They have every permission, and their second factor is the
 * login to the machine. Audit rows name them with `via: cli-local`.
 */
export function localOperator(name: string, now: () => Date = () => new Date()) {
  const actor: Actor = { id: `local-${name}`, name, via: 'cli-local' };
  const permissions: ReadonlySet<string> = new EveryPermission(Object.keys(opsPermissions));
  return () => ({ actor, permissions, secondFactorAt: now() });
}
