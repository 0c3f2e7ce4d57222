import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger } from '../logging/index.ts';
import type { Database } from '../postgres/index.ts';
import { type Actor, audit } from './append.ts';

/** Somebody known was told no. */
export interface Denial {
  readonly actor: Actor;
  /** Method and template of the path, never the path itself: ids in it may be personal. */
  readonly route: string;
  readonly code: string;
  /** What the route asks for, where it names a permission. */
  readonly permission?: string | undefined;
}

/** Writes denials to the audit log, off the path of the request: an answer neither waits for that nor changes when it fails. */
export interface Denials {
  record(denial: Denial): void;
  /** Writes what is still held back. */
  close(): Promise<void>;
}

/** Of one actor at one route for one reason at most one row in this time, in ms; further denials are counted in the next one. */
const oneRowMs = 60_000;
/** Actors, routes and reasons of which a process keeps count at once; beyond them denials are only logged. */
const mostKept = 10_000;

interface Held {
  readonly denial: Denial;
  /** Runs what it is given as part of the latest request that was refused: its correlation id stands for those of all. */
  within: ReturnType<typeof AsyncLocalStorage.snapshot>;
  count: number;
  timer: NodeJS.Timeout;
}

export function openDenials(
  { db, log }: { db: Database; log: Logger },
  { everyMs = oneRowMs }: { everyMs?: number } = {},
): Denials {
  const kept = new Map<string, Held>();
  const writing = new Set<Promise<void>>();
  const write = (denial: Denial, count: number) => {
    const written: Promise<void> = writeDenial(db, denial, count)
      .catch((error: unknown) => log.error('audit_write_failed', error, { action: 'access.denied', count }))
      .finally(() => writing.delete(written));
    writing.add(written);
  };
  const release = (key: string) => {
    const held = kept.get(key);
    if (!held) return;
    if (held.count === 0) return void kept.delete(key);
    held.within(write, held.denial, held.count);
    held.count = 0;
    held.timer = setTimeout(release, everyMs, key).unref();
  };
  return {
    record(denial) {
      const { actor, route, code, permission } = denial;
      log.info('access_denied', { actor: actor.id, route, code, permission });
      const key = `${actor.id} ${route} ${code}`;
      const within = AsyncLocalStorage.snapshot();
      const held = kept.get(key);
      if (held) {
        held.within = within;
        held.count += 1;
      } else if (kept.size < mostKept) {
        kept.set(key, { denial, within, count: 0, timer: setTimeout(release, everyMs, key).unref() });
        write(denial, 1);
      }
    },
    async close() {
      for (const { denial, within, count, timer } of kept.values()) {
        clearTimeout(timer);
        if (count > 0) within(write, denial, count);
      }
      kept.clear();
      await Promise.all(writing);
    },
  };
}

async function writeDenial(db: Database, { actor, route, code, permission }: Denial, count: number): Promise<void> {
  const details = { code, count, ...(permission !== undefined && { permission }) };
  await db.transaction((tx) =>
    audit(tx, { actor, action: 'access.denied', targetType: 'route', targetId: route, details }),
  );
}
