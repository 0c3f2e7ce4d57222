import { appendFile, readFile, rename, stat } from 'node:fs/promises';

/** Where heads are kept, outside the database. */
export interface AnchorStore {
  append(line: string): Promise<void>;
  /** Every line that is still there, oldest first; empty where there is none or where reading is not possible. */
  read(): Promise<string>;
}

export interface AnchorStoreOptions {
  /** A file is put aside as `<path>.1`, in place of the one put aside before, when it has reached this size. Default 1 MiB: some six months. */
  readonly maxBytes?: number;
  /** Longest wait for an answer of a URL, in ms. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Opens a path or an http(s) URL: a URL is sent each line by POST, and is asked for all of them by GET. */
export function openAnchorStore(place: string, options: AnchorStoreOptions = {}): AnchorStore {
  return /^https?:\/\//.test(place) ? urlStore(place, options) : fileStore(place, options);
}

function fileStore(path: string, { maxBytes = 1024 * 1024 }: AnchorStoreOptions): AnchorStore {
  return {
    async append(line) {
      const { size } = await stat(path).catch(() => ({ size: 0 }));
      if (size >= maxBytes) await rename(path, `${path}.1`);
      await appendFile(path, `${line}\n`, { mode: 0o600, flush: true });
    },
    read: async () => (await textOf(`${path}.1`)) + (await textOf(path)),
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function urlStore(url: string, { timeoutMs = 10_000 }: AnchorStoreOptions): AnchorStore {
  const ask = (init: RequestInit) => fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
  return {
    async append(line) {
      const headers = { 'content-type': 'application/json' };
      const answer = await ask({ method: 'POST', headers, body: `${line}\n` });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`the place of the anchor answered ${answer.status}`);
    },
    async read() {
      const answer = await ask({ method: 'GET' });
      if (answer.ok) return answer.text();
      // A place may take lines and show none.
      await answer.body?.cancel();
      return '';
    },
  };
}
