import { createHash } from 'node:crypto';
import { openRequests, type S3Answer, type S3Options, signedLink, StorageRefused, tagOf } from './s3-requests.ts';
import { checkedKey, type FileStore, type PutOptions } from './store.ts';

export type { S3Options } from './s3-requests.ts';

const defaultPartBytes = 5 * 1024 * 1024;

type Send = ReturnType<typeof openRequests>;

/**
 * Files in a bucket of S3, or of a server that speaks its language. A file is uploaded in parts, which become one file at once, when the
 * last is there; an upload that breaks is ended, and nothing of it can be read.
 */
export function openS3Store(options: S3Options): FileStore {
  const send = openRequests(options);
  return {
    async put(key, pieces, putOptions) {
      const upload = await beginUpload(send, checkedKey(key), putOptions);
      try {
        return await uploadAll(send, upload, pieces, {
          ...putOptions,
          partBytes: options.partBytes ?? defaultPartBytes,
        });
      } catch (error) {
        // The failure that is told is the first one; what stays behind is taken away with the file's row.
        await abortUpload(send, upload).catch(() => {});
        throw error;
      }
    },
    async download(key, { linkSeconds, now }) {
      if (!(await exists(send, checkedKey(key)))) return undefined;
      return { url: await signedLink(key, linkSeconds, now, options) };
    },
    async remove(key) {
      await send({ method: 'DELETE', what: 'remove a file', key: checkedKey(key) });
      for (const uploadId of await openUploads(send, key)) await abortUpload(send, { key, uploadId });
    },
  };
}

interface Upload {
  readonly key: string;
  readonly uploadId: string;
}

async function beginUpload(send: Send, key: string, { contentType, fileName, signal }: PutOptions): Promise<Upload> {
  const { text } = await send({
    method: 'POST',
    what: 'begin an upload',
    key,
    query: { uploads: '' },
    headers: { 'content-type': contentType, 'content-disposition': `attachment; filename="${fileName}"` },
    signal,
  });
  const uploadId = tagOf(text, 'UploadId');
  if (!uploadId) throw new StorageRefused('begin an upload', 200, 'no UploadId');
  return { key, uploadId };
}

async function uploadAll(
  send: Send,
  upload: Upload,
  pieces: AsyncIterable<Uint8Array>,
  { signal, partBytes }: PutOptions & { partBytes: number },
) {
  const hash = createHash('sha256');
  const etags: string[] = [];
  let bytes = 0;
  for await (const part of partsOf(pieces, partBytes)) {
    signal.throwIfAborted();
    hash.update(part);
    bytes += part.byteLength;
    etags.push(await uploadPart(send, upload, { part, partNumber: etags.length + 1, signal }));
  }
  await completeUpload(send, upload, etags, signal);
  return { bytes, sha256: hash.digest('hex') };
}

/** Gathers pieces into parts of one size; only the last may be smaller. All parts share one place in memory. */
async function* partsOf(pieces: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array> {
  const part = Buffer.allocUnsafeSlow(partBytes);
  let size = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.byteLength; ) {
      const taken = piece.subarray(at, at + partBytes - size);
      part.set(taken, size);
      size += taken.byteLength;
      at += taken.byteLength;
      if (size < partBytes) continue;
      yield part;
      size = 0;
    }
  }
  if (size > 0) yield part.subarray(0, size);
}

async function uploadPart(
  send: Send,
  { key, uploadId }: Upload,
  { part, partNumber, signal }: { part: Uint8Array; partNumber: number; signal: AbortSignal },
): Promise<string> {
  const query = { partNumber: String(partNumber), uploadId };
  const { etag } = await send({ method: 'PUT', what: 'take a part', key, query, body: part, signal });
  if (!etag) throw new StorageRefused('take a part', 200, 'no ETag');
  return etag;
}

async function completeUpload(
  send: Send,
  { key, uploadId }: Upload,
  etags: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const parts = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
  const what = 'put the parts together';
  const { text } = await send({ method: 'POST', what, key, query: { uploadId }, body, signal });
  // It may answer 200 first and say afterwards that it failed.
  if (/<Error[ >]/.test(text)) throw new StorageRefused(what, 200, tagOf(text, 'Code') ?? '');
}

async function abortUpload(send: Send, { key, uploadId }: Upload): Promise<void> {
  await unless([404], send({ method: 'DELETE', what: 'end an upload', key, query: { uploadId } }));
}

/** Uploads of a key that a process began and did not live to end. */
async function openUploads(send: Send, key: string): Promise<string[]> {
  const request = { method: 'GET', what: 'list uploads', query: { uploads: '', prefix: key } } as const;
  // Some servers cannot list them; theirs end by a rule of the bucket.
  const listed = await unless([404, 501], send(request));
  return [...(listed?.text ?? '').matchAll(/<Upload>(.*?)<\/Upload>/gs)].flatMap(
    ([, upload = '']) => tagOf(upload, 'UploadId') ?? [],
  );
}

async function exists(send: Send, key: string): Promise<boolean> {
  return (await unless([404], send({ method: 'HEAD', what: 'look for a file', key }))) !== undefined;
}

/** The answer, or undefined where it is one of these refusals. */
async function unless(statuses: readonly number[], answer: Promise<S3Answer>): Promise<S3Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StorageRefused && statuses.includes(error.status)) return undefined;
    throw error;
  }
}
