import { databaseFailure } from '../postgres/index.ts';
import { RedisTimeout } from '../redis/index.ts';

/**
 * Entries of one commit: what a statement costs by itself is then little beside them. A worker with 32 places has three times as many in hand;
 * one with 8 to 21 places has fewer than two such batches, and takes turns with Postgres when all of them come at once.
 */
const largestBatch = 256;
/** Statements under way at once: while they run, the next one gathers. More would make each emptier, and Postgres work more. */
const mostInFlight = 2;

/** Writes entries in shared commits. Each promise settles after the commit that holds its entry, with the row it gave, if any. */
export interface GroupCommit<Entry, Row> {
  add(entry: Entry): Promise<Row | undefined>;
  /** Resolves when everything given so far is committed or has failed. */
  flush(): Promise<void>;
}

export interface GroupCommitOptions<Entry, Row> {
  /** What an entry is about: two of one key never share a statement, or the second would see nothing of the first. */
  readonly keyOf: (entry: Entry) => string;
  /** Writes entries in one commit, and answers the rows they gave by their keys. */
  readonly write: (entries: readonly Entry[]) => Promise<ReadonlyMap<string, Row>>;
  /** Least time from one statement to the next, in ms: entries that come sooner gather. Who comes after a longer pause never waits. Default 0. */
  readonly everyMs?: number;
}

interface Waiting<Entry, Row> {
  readonly entry: Entry;
  readonly resolve: (row: Row | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Entries by key. */
type Batch<Entry, Row> = Map<string, Waiting<Entry, Row>>;

/**
 * Group commit: while a batch is being committed, the next one gathers. An idle writer sends a single entry at once, so a quiet
 * queue pays no waiting time; a busy one shares each commit among many entries. A batch that fails is repeated entry by entry,
 * unless the server is away: then each entry fails as the batch did.
 */
export function groupCommit<Entry, Row>(options: GroupCommitOptions<Entry, Row>): GroupCommit<Entry, Row> {
  const waiting: Batch<Entry, Row>[] = [];
  const { everyMs = 0 } = options;
  const inFlight = new Set<Promise<void>>();
  let scheduled = false;
  let sentAt = Number.NEGATIVE_INFINITY;

  function pump(): void {
    scheduled = false;
    while (inFlight.size < mostInFlight) {
      const batch = waiting.shift();
      if (!batch) return;
      sentAt = performance.now();
      const sent: Promise<void> = send(options, batch).finally(() => {
        inFlight.delete(sent);
        schedule();
      });
      inFlight.add(sent);
    }
  }

  function schedule(): void {
    if (scheduled || waiting.length === 0 || inFlight.size >= mostInFlight) return;
    const pauseMs = everyMs - (performance.now() - sentAt);
    scheduled = true;
    // After the present turn in any case, so that entries of one turn share a batch.
    if (pauseMs > 0) setTimeout(pump, pauseMs);
    else setImmediate(pump);
  }

  return {
    add: (entry) =>
      new Promise((resolve, reject) => {
        const key = options.keyOf(entry);
        let batch = waiting.at(-1);
        if (!batch || batch.size >= largestBatch || batch.has(key)) waiting.push((batch = new Map()));
        batch.set(key, { entry, resolve, reject });
        schedule();
      }),
    async flush() {
      while (inFlight.size > 0 || waiting.length > 0) {
        pump();
        await Promise.allSettled(inFlight);
      }
    },
  };
}

async function send<Entry, Row>(options: GroupCommitOptions<Entry, Row>, batch: Batch<Entry, Row>): Promise<void> {
  try {
    const rows = await options.write(Array.from(batch.values(), ({ entry }) => entry));
    for (const [key, { resolve }] of batch) resolve(rows.get(key));
  } catch (error) {
    const failure = databaseFailure(error);
    const isAway = failure === 'infrastructure' || failure === 'ambiguous' || error instanceof RedisTimeout;
    if (batch.size === 1 || isAway) {
      for (const { reject } of batch.values()) reject(error);
      return;
    }
    // One bad entry must not take its neighbours along.
    for (const one of batch) await send(options, new Map([one]));
  }
}
