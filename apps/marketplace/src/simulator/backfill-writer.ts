import type { Queryable, Statement } from '@fmhl/ops';
import { type RowOf, type TableName, tables, type Value } from './tables.ts';

/** Rows of all tables that wait before they are written. */
const writtenAtOnce = 20_000;

/**
 * Gathers rows, and writes them table by table, parents first, each in one statement: an array for each column. A row and those it names
 * must be added before the next `write`; constraints and triggers judge them as any other.
 */
export class BackfillWriter {
  readonly #tx: Queryable;
  readonly #buffers: Map<TableName, Buffered>;
  readonly counts: Partial<Record<TableName, number>> = {};
  #waiting = 0;
  #sent: Promise<void> = Promise.resolve();

  constructor(tx: Queryable) {
    this.#tx = tx;
    this.#buffers = new Map((Object.keys(tables) as TableName[]).map((name) => [name, new Buffered(name)]));
  }

  add<Name extends TableName>(name: Name, row: RowOf<Name>): void {
    this.#buffers.get(name)?.add(row);
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    this.#waiting += 1;
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  /** So much waits that it should be written. */
  get isFull(): boolean {
    return this.#waiting >= writtenAtOnce;
  }

  /** Sends what waits once what was sent before is written, and resolves when that is so: the next rows are made meanwhile. */
  write(): Promise<void> {
    const before = this.#sent;
    const statements = [...this.#buffers.values()].flatMap((buffer) => buffer.take());
    this.#waiting = 0;
    this.#sent = before.then(async () => {
      for (const statement of statements) await this.#tx.query(statement);
    });
    // Whoever waits for it learns of it; until then it is nobody's.
    this.#sent.catch(() => {});
    return before;
  }

  /** Resolves when all is written. */
  async finish(): Promise<void> {
    await this.write();
    await this.#sent;
  }
}

class Buffered {
  readonly #name: TableName;
  readonly #columns: readonly { readonly name: string; readonly type: string }[];
  readonly #text: string;
  #values: Value[][];

  constructor(name: TableName) {
    this.#name = name;
    this.#columns = Object.entries(tables[name]).map(([column, type]) => ({ name: column, type }));
    this.#text = insertOf(name, this.#columns);
    this.#values = this.#columns.map(() => []);
  }

  add(row: Readonly<Record<string, Value>>): void {
    for (let at = 0; at < this.#columns.length; at += 1) {
      const { name, type } = this.#columns[at] as { name: string; type: string };
      const value = row[name] ?? null;
      this.#values[at]?.push(
        type === 'timestamptz' && typeof value === 'number' ? new Date(value).toISOString() : value,
      );
    }
  }

  take(): Statement[] {
    if (this.#values[0]?.length === 0) return [];
    const statement = { name: `backfill_${this.#name}`, text: this.#text, values: this.#values };
    this.#values = this.#columns.map(() => []);
    return [statement];
  }
}

/** A column that is an array itself comes as text, as an array of arrays would be taken apart whole. */
function insertOf(name: string, columns: readonly { name: string; type: string }[]): string {
  const names = columns.map((column) => column.name).join(', ');
  const values = columns
    .map(({ name: column, type }) => (type.endsWith('[]') ? `${column}::${type}` : column))
    .join(', ');
  const arrays = columns.map(({ type }, at) => `$${at + 1}::${type.endsWith('[]') ? 'text' : type}[]`).join(', ');
  return `insert into ${name} (${names}) select ${values} from unnest(${arrays}) as row(${names})`;
}
