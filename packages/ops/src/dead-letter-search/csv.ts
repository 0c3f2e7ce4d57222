/** What a column may hold. */
export type Cell = string | number | boolean | Date | null | undefined;

/** A line of CSV (RFC 4180), with its end. */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** One cell. What a spreadsheet would run as a formula gets a leading apostrophe, so that it is shown as text. */
function csvCell(value: Cell): string {
  if (value === null || value === undefined) return '';
  const text = value instanceof Date ? value.toISOString() : String(value);
  const harmless = typeof value === 'string' && /^\s*[=+\-@|]|^[\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
