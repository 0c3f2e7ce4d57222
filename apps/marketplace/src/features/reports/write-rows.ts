import { csvLine, type Database } from '@fmhl/ops';
import { collectGarbage, isGarbageDue } from './collect-garbage.ts';
import { type ExportRow, markProgress } from './export-queries.ts';
import { columnNames, lineWriter, pageOfRows, type PageRow, type Position, type Selection } from './export-types.ts';

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

const byteOrderMark = '\ufeff';

/**
 * The file piece by piece: a line of names, then pages of rows. A page is read when the one before it is where it belongs, and written over it,
 * so there is never more than one in memory. Throws {@link ExportEnded} behind a page during which the export was cancelled or taken over.
 */
export async function* writeRows(
  { taken: { type }, own, selection, written }: Writing,
  { db, pageRows = 1_000 }: { readonly db: Database; readonly pageRows?: number },
): AsyncGenerator<Uint8Array> {
  const lineOf = lineWriter(type, selection);
  const page = openPage();
  page.append(byteOrderMark + csvLine(columnNames(type, selection)));
  yield page.take();
  let after: Position | undefined;
  let pages = 0;
  do {
    const { rows } = await db.query<PageRow>(pageOfRows(type, selection, { after, limit: pageRows }));
    for (const row of rows) page.append(lineOf(row));
    if (rows.length > 0) yield page.take();
    written.rows += rows.length;
    pages += 1;
    if (rows.length === pageRows && isGarbageDue(pages)) collectGarbage();
    if (!(await markProgress(db, own, { rowsDone: written.rows }))) throw new ExportEnded();
    const last = rows.length === pageRows ? rows.at(-1) : undefined;
    after = last && [last.position_1, last.position_2];
  } while (after);
}

/**
 * The bytes of one page after the other, in one place of memory, line by line. Measured with a million leads: as texts that live as long as their
 * page, and buffers that are collected late, the same rows took a third more memory.
 */
function openPage() {
  let buffer = Buffer.allocUnsafeSlow(1024 * 1024);
  let size = 0;
  return {
    append(line: string): void {
      const most = size + line.length * 3;
      if (most > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(most * 2);
        buffer.copy(larger, 0, 0, size);
        buffer = larger;
      }
      size += buffer.write(line, size);
    },
    take(): Uint8Array {
      const taken = buffer.subarray(0, size);
      size = 0;
      return taken;
    },
  };
}
