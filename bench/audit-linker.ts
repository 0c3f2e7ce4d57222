/** Links audit rows in a process of its own, as the scheduler does, until the benchmark lets go of it. */
import { setTimeout as wait } from 'node:timers/promises';
import { linkOnce } from '../packages/ops/src/audit/link.ts';
import { openDatabase } from '../packages/ops/src/postgres/index.ts';

const [url = '', secret = ''] = process.argv.slice(2);
const keys = [{ id: 'bench', key: Buffer.from(secret, 'hex') }];
const db = openDatabase({ url, poolSize: 1 });
const ended = new AbortController();
process.once('disconnect', () => ended.abort());
process.send?.('ready');
while (!ended.signal.aborted) {
  await linkOnce({ db, keys });
  await wait(500, undefined, { signal: ended.signal }).catch(() => {});
}
await db.close();
