import { type Cell, csvLine, type Database } from '@fmhl/ops';
import { type ExportRow, markProgress } from './export-queries.ts';
import { cellReader, columnNames, pageOfRows, type Position, type Selection } from './export-types.ts';

/** The export is not this attempt's to write any more. */
export class ExportEnded extends Error {
  override name = 'ExportEnded';
}

/** How far the file is. */
export interface Written {
  rows: number;
}

export interface Writing {
  readonly taken: Pick<ExportRow, 'type'>;
  readonly own: { readonly id: string; readonly storageKey: string };
  readonly selection: Selection;
  readonly written: Written;
}

type Row = Readonly<Record<string, Cell>> & { position_1: string; position_2: string };

const byteOrderMark = '\ufeff';

/**
 * The file piece by piece: a line of names, then pages of rows. A page is read when the one before it is where it belongs, so there is never
 * more than one in memory. Throws {@link ExportEnded} behind a page during which the export was cancelled or taken over.
 */
export async function* writeRows(
  { taken: { type }, own, selection, written }: Writing,
  { db, pageRows = 1_000 }: { readonly db: Database; readonly pageRows?: number },
): AsyncGenerator<Uint8Array> {
  const cellsOf = cellReader(type, selection);
  const line = (cells: readonly Cell[]) => csvLine(cells, { quote: 'text' });
  yield Buffer.from(byteOrderMark + line(columnNames(type, selection)));
  let after: Position | undefined;
  do {
    const { rows } = await db.query<Row>(pageOfRows(type, selection, { after, limit: pageRows }));
    if (rows.length > 0) yield Buffer.from(rows.map((row) => line(cellsOf(row))).join(''));
    written.rows += rows.length;
    if (!(await markProgress(db, own, { rowsDone: written.rows }))) throw new ExportEnded();
    const last = rows.length === pageRows ? rows.at(-1) : undefined;
    after = last && [last.position_1, last.position_2];
  } while (after);
}
