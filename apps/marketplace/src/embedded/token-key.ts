import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The secret that signs mailed tokens: 32 random bytes in hex, made once in `<dataDir>/token.key`, readable by its owner only. */
export function tokenKey(dataDir: string): string {
  const path = join(dataDir, 'token.key');
  const key = readKey(path) ?? makeKey(path);
  if (!/^[0-9a-f]{64}$/.test(key))
    throw new Error(`${path} does not hold 32 bytes in hex: restore it, or give TOKEN_KEY`);
  return key;
}

/** The key in the file of this path, unchecked; undefined where none was made. */
export function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A link into place is all or nothing, and the first of two makers wins. */
function makeKey(path: string): string {
  const half = `${path}.${process.pid}`;
  const key = randomBytes(32).toString('hex');
  writeFileSync(half, `${key}\n`, { mode: 0o600 });
  try {
    linkSync(half, path);
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return readKey(path) ?? key;
  } finally {
    rmSync(half, { force: true });
  }
}
