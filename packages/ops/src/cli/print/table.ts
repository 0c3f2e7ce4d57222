import { displayWidth, pad, truncate } from './display-width.ts';
import { safeLine } from './safe-text.ts';
import type { Piece, Style } from './terminal.ts';

/**
 * One column. The published table printers cut or wrap what is too wide, but none leaves out the columns that matter least, which is what
 * keeps a list readable at 80; hence this one.
 */
export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string;
  readonly align?: 'right';
  /** May be cut down to this width. Without it the column keeps its natural width. */
  readonly least?: number;
  /** Left out when there is no room, the greatest number first. Without it the column always stays. */
  readonly leave?: number;
  readonly style?: (row: Row) => Style | undefined;
}

const gap = 2;

/** Head and rows, each line as pieces that fit `width` together. Nothing in a cell can drive the terminal. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): Piece[][] {
  const cells = new Map(columns.map((column) => [column, rows.map((row) => safeLine(column.of(row)))]));
  const natural = (column: Column<Row>) =>
    Math.max(displayWidth(column.title), ...(cells.get(column) ?? []).map(displayWidth), 0);
  const shown = chooseColumns(columns, (column) => Math.min(column.least ?? Infinity, natural(column)), width);
  const widths = fitWidths(shown, shown.map(natural), width);
  const line = (textOf: (column: Column<Row>) => string, styleOf: (column: Column<Row>) => Style | undefined) =>
    shown.map((column, at) => ({
      text: cellOf(textOf(column), widths[at] ?? 0, { align: column.align, isLast: at === shown.length - 1 }),
      style: styleOf(column),
    }));
  return [
    line(
      ({ title }) => title,
      () => 'dim',
    ),
    ...rows.map((row, at) =>
      line(
        (column) => cells.get(column)?.[at] ?? '',
        (column) => column.style?.(row),
      ),
    ),
  ];
}

function cellOf(
  text: string,
  width: number,
  { align, isLast }: { align: 'right' | undefined; isLast: boolean },
): string {
  const cut = truncate(text, width);
  if (isLast) return align === 'right' ? pad(cut, width, 'right') : cut;
  return pad(cut, width, align) + ' '.repeat(gap);
}

/** All columns less those that must go for the rest to fit at their least width. */
function chooseColumns<Row>(
  columns: readonly Column<Row>[],
  least: (column: Column<Row>) => number,
  width: number,
): Column<Row>[] {
  const total = columns.reduce((sum, column) => sum + least(column), gap * (columns.length - 1));
  const [first] = columns.filter(({ leave }) => leave !== undefined).sort((a, b) => (b.leave ?? 0) - (a.leave ?? 0));
  if (total <= width || !first) return [...columns];
  return chooseColumns(
    columns.filter((column) => column !== first),
    least,
    width,
  );
}

/** Takes from the widest that may shrink until all fit; from any, where even that does not do. */
function fitWidths<Row>(columns: readonly Column<Row>[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  const room = width - gap * (columns.length - 1);
  const shrink = (least: (at: number) => number) => {
    while (sum(widths) > room) {
      const [widest] = widths
        .map((_, at) => at)
        .filter((at) => (widths[at] ?? 0) > least(at))
        .sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0));
      if (widest === undefined) return;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
  };
  shrink((at) => columns[at]?.least ?? Infinity);
  shrink(() => 1);
  return widths;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
