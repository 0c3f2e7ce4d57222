import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkedKey, type FileStore, type PutOptions, type StoredFile } from './store.ts';

/** Files in a directory, which every process that writes, serves or removes them must see. Only its owner may read it. */
export function openLocalStore(directory: string): FileStore {
  const pathOf = (key: string) => join(directory, checkedKey(key));
  return {
    async put(key, pieces, options) {
      const path = pathOf(key);
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const part = `${path}.part`;
      try {
        const stored = await write(part, pieces, options);
        await rename(part, path);
        await syncDirectory(directory);
        return stored;
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
    },
    async download(key) {
      try {
        const file = await open(pathOf(key), 'r');
        const { size } = await file.stat();
        return { stream: file.createReadStream(), bytes: size };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async remove(key) {
      const path = pathOf(key);
      await Promise.all([rm(path, { force: true }), rm(`${path}.part`, { force: true })]);
    },
  };
}

/** Writes one piece after the other, and returns once the disk has them. */
async function write(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  { signal }: Pick<PutOptions, 'signal'>,
): Promise<StoredFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const piece of pieces) {
      signal.throwIfAborted();
      hash.update(piece);
      bytes += piece.byteLength;
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** So that the name survives a loss of power too. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
