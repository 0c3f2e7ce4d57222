import type { Readable } from 'node:stream';

/** What a file is called in a store: names that we make, never what somebody typed. */
export const fileKeyForm = /^[a-z0-9][a-z0-9-]{0,99}\.[a-z]{1,8}$/;

export interface PutOptions {
  /** Ends the work between two pieces, and within one where that waits. */
  readonly signal: AbortSignal;
  readonly contentType: string;
  /** Under which name a browser saves it. */
  readonly fileName: string;
}

export interface StoredFile {
  readonly bytes: number;
  /** Of the whole file, in hex. */
  readonly sha256: string;
}

/** A way to a whole file: its bytes, or an address that serves them for a while to whoever knows it. */
export type Download = { readonly stream: Readable; readonly bytes: number } | { readonly url: string };

/** Where files live that are too large for a table. */
export interface FileStore {
  /**
   * Takes a file piece by piece; each is stored or copied before the next is asked for, so that the caller may write over it. It exists under its key once it is whole, and not
   * before: a failure, of the pieces or of the place, leaves nothing that can be read.
   */
  put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredFile>;
  /** Undefined when there is no such file. `linkSeconds`: how long an address is good, where it is one. */
  download(key: string, options: { readonly linkSeconds: number; readonly now: Date }): Promise<Download | undefined>;
  /** Takes away the file and what a broken `put` left of it. Without harm where there is nothing. */
  remove(key: string): Promise<void>;
}

/** Refuses a key that could mean another place. */
export function checkedKey(key: string): string {
  if (!fileKeyForm.test(key)) throw new TypeError('a key of a file store is letters, digits, "-" and an ending');
  return key;
}
