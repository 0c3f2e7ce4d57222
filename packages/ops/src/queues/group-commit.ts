/** Entries of one statement. Larger batches only lengthen the wait of the first. */
const largestBatch = 64;
/** Statements under way at once: while one waits for the disk, the next gathers and is sent. */
const mostInFlight = 2;

/** Anything that is written under a key. */
export interface Keyed {
  readonly runKey: string;
}

/** Writes entries in shared commits. Each promise settles after the commit that holds its entry, with the row it gave, if any. */
export interface GroupCommit<Entry extends Keyed, Row> {
  add(entry: Entry): Promise<Row | undefined>;
  /** Resolves when everything given so far is committed or has failed. */
  flush(): Promise<void>;
}

interface Waiting<Entry, Row> {
  readonly entry: Entry;
  readonly resolve: (row: Row | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Entries by key: two entries of one key never share a statement, or the second would see nothing of the first. */
type Batch<Entry, Row> = Map<string, Waiting<Entry, Row>>;

/**
 * Group commit: while a batch is being committed, the next one gathers. An idle writer sends a single entry at once, so a quiet
 * queue pays no waiting time; a busy one shares each commit among up to 64 entries. A batch that fails is repeated entry by entry.
 */
export function groupCommit<Entry extends Keyed, Row>(
  write: (entries: readonly Entry[]) => Promise<ReadonlyMap<string, Row>>,
): GroupCommit<Entry, Row> {
  const waiting: Batch<Entry, Row>[] = [];
  const inFlight = new Set<Promise<void>>();
  let scheduled = false;

  function pump(): void {
    scheduled = false;
    while (inFlight.size < mostInFlight) {
      const batch = waiting.shift();
      if (!batch) return;
      const sent: Promise<void> = send(write, batch).finally(() => {
        inFlight.delete(sent);
        pump();
      });
      inFlight.add(sent);
    }
  }

  return {
    add: (entry) =>
      new Promise((resolve, reject) => {
        let batch = waiting.at(-1);
        if (!batch || batch.size >= largestBatch || batch.has(entry.runKey)) waiting.push((batch = new Map()));
        batch.set(entry.runKey, { entry, resolve, reject });
        if (scheduled || inFlight.size >= mostInFlight) return;
        scheduled = true;
        // After the present turn, so that entries of one turn share a batch.
        setImmediate(pump);
      }),
    async flush() {
      pump();
      while (inFlight.size > 0 || waiting.length > 0) await Promise.allSettled(inFlight);
    },
  };
}

type Write<Entry, Row> = (entries: readonly Entry[]) => Promise<ReadonlyMap<string, Row>>;

async function send<Entry extends Keyed, Row>(write: Write<Entry, Row>, batch: Batch<Entry, Row>): Promise<void> {
  const entries = [...batch.values()];
  try {
    const rows = await write(entries.map(({ entry }) => entry));
    for (const { entry, resolve } of entries) resolve(rows.get(entry.runKey));
  } catch (error) {
    const [only] = entries;
    if (entries.length === 1) return only?.reject(error);
    // One bad entry must not take its neighbours along.
    for (const one of entries) await send(write, new Map([[one.entry.runKey, one]]));
  }
}
