import { command } from '../command.ts';
import { CommandFailed, refusedBy, type Run } from '../run.ts';
import { exitCodes } from '../exit-codes.ts';
import { parsed } from '../client.ts';
import { filterText, type Selection, selectionOptions } from './filter-text.ts';
import { rowCounter } from './row-counter.ts';

interface ExportOptions extends Selection {
  readonly format: 'ndjson' | 'csv';
  readonly columns?: string;
}

export const exportCommand = command<ExportOptions>({
  usage: 'export [filter...]',
  summary: 'dead letters as a file on standard output; the open ones, where the filter says nothing of states',
  options: [
    ...selectionOptions,
    { flags: '--all-states', meaning: 'closed ones too' },
    { flags: '--format <format>', meaning: 'form of the file', choices: ['ndjson', 'csv'], default: 'ndjson' },
    { flags: '--columns <names>', meaning: 'names with commas between' },
  ],
  act: exportLetters,
});

async function exportLetters(run: Run, words: readonly string[], options: ExportOptions): Promise<void> {
  const { client, terminal } = run;
  const { format, columns } = options;
  const q = filterText(words, options) || undefined;
  const answer = await client.stream({ method: 'GET', path: '/queues/dlq/export', query: { q, format, columns } });
  if (answer.status >= 300) throw refusedBy({ ...answer, body: parsed(await textOf(answer.chunks)) });
  const counter = rowCounter(format);
  for await (const chunk of answer.chunks) {
    counter.add(chunk);
    await terminal.bytes(chunk);
  }
  const promised = Number(answer.headers['x-rows'] ?? Number.NaN);
  if (Number.isFinite(promised) && counter.rows() !== promised)
    throw new CommandFailed(exitCodes.failed, `the file is cut: ${counter.rows()} of ${promised} rows arrived`);
  terminal.note(`${counter.rows()} rows`);
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString('utf8');
}
