import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** What the outside world was promised or has seen, one JSON object a line, written before anything follows from it. */
export interface Journal<Entry> {
  readonly path: string;
  append(entry: Entry): void;
}

export function openJournal<Entry>(path: string): Journal<Entry> {
  return { path, append: (entry) => appendFileSync(path, `${JSON.stringify(entry)}\n`) };
}

export function readJournal<Entry>(path: string): Entry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);
}
