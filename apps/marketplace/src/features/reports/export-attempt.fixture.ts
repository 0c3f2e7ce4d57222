/** One attempt at an export in a process of its own, which stops for ever behind its second piece, says so, and waits to be killed. */
import { createLogger, openDatabase } from '@fmhl/ops';
import { type FileStore, openLocalStore, openS3Store } from '../../file-store/index.ts';
import type { MarketplaceLogEvent } from '../../log.ts';
import { runExport } from '../../testing/exports.ts';
import { testS3Keys } from '../../testing/s3-server.ts';

/** Hands over two pieces, the names and one page, and no more. */
function stuck(files: FileStore): FileStore {
  return {
    ...files,
    put: (key, pieces, options) => files.put(key, twoOf(pieces), options),
  };
}

async function* twoOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const piece of pieces) {
    yield piece;
    count += 1;
    if (count < 2) continue;
    process.send?.('stuck');
    await new Promise(() => setInterval(() => {}, 60_000));
  }
}

async function work([databaseUrl = '', exportId = '', place = '']: string[]): Promise<void> {
  const db = openDatabase({ url: databaseUrl, poolSize: 2 });
  const bucket = { endpoint: place, region: 'us-east-1', bucket: 'bucket', ...testS3Keys, partBytes: 200 };
  const files = place.startsWith('http') ? openS3Store(bucket) : openLocalStore(place);
  const names = { service: 'test', version: 'test', instance: 'test', bootId: 'test' };
  const log = createLogger<MarketplaceLogEvent>({ level: 'error', format: 'json', ...names });
  await runExport(db, exportId, { files: stuck(files), log, pageRows: 1 });
}

if (import.meta.main) await work(process.argv.slice(2));
