const lineFeed = 0x0a;
const quote = 0x22;

/** Counts the rows of a file as its bytes pass: lines of NDJSON; records of CSV, less the head, a quoted line feed being none. */
export function rowCounter(format: 'ndjson' | 'csv'): { add: (chunk: Uint8Array) => void; rows: () => number } {
  let ends = 0;
  let isQuoted = false;
  let last: number = lineFeed;
  return {
    add(chunk) {
      for (const byte of chunk) {
        if (format === 'csv' && byte === quote) isQuoted = !isQuoted;
        if (byte === lineFeed && !isQuoted) ends += 1;
        last = byte;
      }
    },
    rows() {
      const records = last === lineFeed ? ends : ends + 1;
      return format === 'csv' ? Math.max(0, records - 1) : records;
    },
  };
}
