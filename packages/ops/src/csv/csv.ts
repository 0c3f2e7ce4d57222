/** What a column may hold. */
export type Cell = string | number | boolean | Date | null | undefined;

/**
 * A line of CSV (RFC 4180), with its end. A text that a spreadsheet would run as a formula gets a leading apostrophe, and so is shown as
 * text; so does a text that looks like one which got it, so that the original can be told from the file. The same is done behind each
 * `;`, tab, comma and line end inside of a text, where a spreadsheet that separates cells by it begins another cell. Numbers stay numbers.
 */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** One text as a cell in quotes, harmless in the same way. For a caller that puts its lines together itself. */
export function csvText(text: string): string {
  const harmless = defuse(text);
  return `"${harmless.includes('"') ? harmless.replaceAll('"', '""') : harmless}"`;
}

function csvCell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return value instanceof Date ? value.toISOString() : String(value);
  const harmless = defuse(value);
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

// `|` begins a call of another program in old spreadsheets; the others are wide, small and raised forms, which some read as the plain ones.
const formula = /^'*(?:[\t\r]|[\s\p{C}]*[=+\-@|＝＋－−＠｜﹢﹣﹦﹫⁺⁼₊₌﬩⩵⩶])/u;

// Programs split at `;` or a tab by their settings, and then see no quotes but those that begin a cell: ours have to be thought away. It looks
// from the last separator before a formula only, so that a text of nothing but tabs costs no more than another.
const innerFormula = /[;,\t\r\n](?=(?:(?![\t\r\n])['"\s\p{C}])*[=+\-@|＝＋－−＠｜﹢﹣﹦﹫⁺⁼₊₌﬩⩵⩶])/gu;
const separator = /[;,\t\r\n]/;

/** The text with an apostrophe wherever a spreadsheet may begin to read a formula. Without those it is the text: see {@link isFormula}. */
function defuse(text: string): string {
  const inside = separator.test(text) ? text.replace(innerFormula, "$&'") : text;
  return isFormula(inside) ? `'${inside}` : inside;
}

/** Whether a spreadsheet may take the text for a formula: it begins with `= + - @ |`, a tab or CR, also after blanks or apostrophes, or in full width. */
export function isFormula(text: string): boolean {
  return !beginsPlain(text) && formula.test(text);
}

/** A letter or digit of ASCII, which most texts begin with: they need no further look. */
function beginsPlain(text: string): boolean {
  const code = text.charCodeAt(0);
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57);
}
