import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const saved = z.object({ url: z.string(), token: z.string() });

const file = (home: string): string => join(home, '.config', 'fmhl', 'token');

/** The token that `fmhl login` kept for this address. One for another address is never sent there. */
export function savedToken(url: string, home: string = homedir()): string | undefined {
  try {
    const parsed = saved.safeParse(JSON.parse(readFileSync(file(home), 'utf8')));
    return parsed.success && parsed.data.url === url ? parsed.data.token : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a token where only its owner reads it. Answers the file. */
export function saveToken(token: z.infer<typeof saved>, home: string = homedir()): string {
  const path = file(home);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // A file that was there keeps its mode when it is written.
  rmSync(path, { force: true });
  writeFileSync(path, `${JSON.stringify(token)}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}
