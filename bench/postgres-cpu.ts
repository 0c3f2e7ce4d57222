import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type Database, sql } from '../packages/ops/src/postgres/index.ts';

/** CPU time of a Postgres so far, all its processes together, in ms: quieter than wall time on a shared machine. Linux only, else NaN. */
export async function openPostgresCpu(db: Database): Promise<() => number> {
  if (!existsSync('/proc/self/stat')) return () => Number.NaN;
  const { rows } = await db.query<{ pid: number }>(sql`select pg_backend_pid() as pid`);
  const postmaster = statOf(rows[0]?.pid ?? 0)?.parent ?? 0;
  return () => {
    const processes = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []));
    const living = processes.filter(({ pid, parent }) => pid === postmaster || parent === postmaster);
    const ended = statOf(postmaster)?.endedChildrenMs ?? 0;
    return living.reduce((sum, { ownMs }) => sum + ownMs, ended);
  };
}

/** Clock ticks are 10 ms wherever Linux is built as usual. */
const tickMs = 10;

/** Undefined for a process that has ended meanwhile. */
function statOf(pid: number) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it may hold blanks.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [, parent] = fields;
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
    return { pid, parent, ownMs: (user + system) * tickMs, endedChildrenMs: (endedUser + endedSystem) * tickMs };
  } catch {
    return undefined;
  }
}
