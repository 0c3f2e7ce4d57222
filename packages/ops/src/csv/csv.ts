/** A number as it is to be read, such as `-15.00`: the digits stand in the file as given. Throws a TypeError for what is no decimal number. */
export interface Digits {
  readonly digits: string;
}

/** What a column may hold. */
export type Cell = string | number | boolean | Date | Digits | null | undefined;

export interface CsvOptions {
  /** Which texts stand in quotes: only those that must, or all. Numbers, times and empty cells never do. Default `needed`. */
  readonly quote?: 'needed' | 'text';
}

/**
 * A line of CSV (RFC 4180), with its end. A text that a spreadsheet would run as a formula gets a leading apostrophe, and so is shown as
 * text; so does a text that looks like one which got it, so that the original can be told from the file.
 */
export function csvLine(cells: readonly Cell[], { quote = 'needed' }: CsvOptions = {}): string {
  return `${cells.map((cell) => csvCell(cell, quote === 'text')).join(',')}\r\n`;
}

function csvCell(value: Cell, quoteText: boolean): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return textCell(value, quoteText);
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? decimal(value) : String(value);
}

function textCell(text: string, quoteText: boolean): string {
  const harmless = isFormula(text) ? `'${text}` : text;
  return quoteText || /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function decimal({ digits }: Digits): string {
  if (!/^-?\d+(\.\d+)?$/.test(digits)) throw new TypeError(`"${digits}" is not a decimal number`);
  return digits;
}

const beginsPlain = /^[\p{L}\d]/u;
// `|` begins a call of another program in old spreadsheets; the others are full-width forms, which some read as their narrow ones.
const formula = /^'*(?:[\t\r]|[\s\p{C}]*[=+\-@|＝＋－−＠｜])/u;

/** Whether a spreadsheet may take the text for a formula: it begins with `= + - @ |`, a tab or CR, also after blanks or apostrophes, or in full width. */
export function isFormula(text: string): boolean {
  return !beginsPlain.test(text) && formula.test(text);
}
