import { CommandFailed, get, misused, type Run } from '../run.ts';
import { exitCodes } from '../exit-codes.ts';
import type { RedriveList } from '../contract.ts';

/** The UUID of a redrive that is named by itself or by a unique start of it, among the newest 200. */
export async function redriveId(run: Run, text: string): Promise<string> {
  const start = text.toLowerCase();
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(start)) return start;
  if (!/^[0-9a-f]{8}[0-9a-f-]{0,27}$/.test(start))
    throw misused(`"${text}" is no id: it takes a UUID or the first 8 characters of one, or more`);
  const { redrives } = await get<RedriveList>(run, '/redrives', { limit: 200 });
  const found = redrives.filter(({ id }) => id.startsWith(start));
  const [first, second] = found;
  if (!first) throw new CommandFailed(exitCodes.notFound, `there is no redrive ${text}`);
  if (!second) return first.id;
  const candidates = found.map(({ id, name, state }) => `  ${id}  ${state}  ${name}`);
  throw misused([`${text} could be any of these:`, ...candidates].join('\n'));
}
