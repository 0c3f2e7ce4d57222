import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { AwsV4Signer } from 'aws4fetch';

export interface S3Options {
  /** Origin of the server, such as `https://s3.us-east-1.amazonaws.com`; the bucket is named in the path. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Size of all parts but the last, in bytes. Default 5 MiB, the least that S3 takes; 10,000 of them are 50 GB. */
  readonly partBytes?: number;
  /** Longest wait for one answer, in ms. Default 60,000. */
  readonly timeoutMs?: number;
  /** Wait before the second try of a request, in ms; doubled for the third. Default 500. */
  readonly retryMs?: number;
}

/** The storage did not do what it was asked: its status and its own word for it, and nothing of keys or addresses. */
export class StorageRefused extends Error {
  override name = 'StorageRefused';
  readonly status: number;

  constructor(what: string, status: number, code: string) {
    super(`the file storage did not ${what}: ${status}${code && ` ${code}`}`);
    this.status = status;
  }
}

export interface S3Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  /** What it does, for the error. */
  readonly what: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly etag: string | undefined;
  readonly text: string;
}

const tries = 3;

/** Sends signed requests to one bucket. What fails for a moment (network, 5xx, 429) is tried three times. */
export function openRequests(options: S3Options) {
  return async (request: S3Request): Promise<S3Answer> => {
    for (let at = 1; ; at += 1) {
      try {
        return await sendOnce(request, options);
      } catch (error) {
        request.signal?.throwIfAborted();
        if (at >= tries || !mayPass(error)) throw error;
        await wait((options.retryMs ?? 500) * 2 ** (at - 1), undefined, { signal: request.signal });
      }
    }
  };
}

function mayPass(error: unknown): boolean {
  return !(error instanceof StorageRefused) || (error.status >= 500 && error.status !== 501) || error.status === 429;
}

async function sendOnce(request: S3Request, options: S3Options): Promise<S3Answer> {
  const { what, signal } = request;
  const { url, headers } = await signed(request, options);
  const deadline = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const answer = await exchange(url, Object.fromEntries(headers), {
    ...request,
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new Error(`the file storage did not answer (${reasonOf(error)})`);
  });
  if (answer.status >= 300) throw new StorageRefused(what, answer.status, tagOf(answer.text, 'Code') ?? '');
  return answer;
}

/** Longest answer that is read, in bytes: a list of uploads has a thousand short entries at most. */
const longestAnswer = 4 * 1024 * 1024;

/** One request and its answer. Not by `fetch`, which copies each part before it sends it. */
function exchange(
  url: URL,
  headers: Record<string, string>,
  { method, body, signal }: Pick<S3Request, 'method' | 'body' | 'signal'>,
): Promise<S3Answer> {
  return new Promise((resolve, reject) => {
    const length = String(body === undefined ? 0 : Buffer.byteLength(body));
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = open(url, { method, headers: { ...headers, 'content-length': length }, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > longestAnswer) request.destroy(new Error('too long an answer'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          etag: response.headers.etag,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** The body's hash is signed too, so that nobody on the way can change it. */
async function signed({ method, headers, body, ...to }: S3Request, options: S3Options) {
  const hash = createHash('sha256')
    .update(body ?? '')
    .digest('hex');
  const signer = new AwsV4Signer({
    ...signingWith(options),
    method,
    url: urlOf(to, options),
    headers: { ...headers, 'x-amz-content-sha256': hash },
  });
  return signer.sign();
}

/** An address that serves a file for `seconds` from `now` to whoever knows it. */
export async function signedLink(key: string, seconds: number, now: Date, options: S3Options): Promise<string> {
  const signer = new AwsV4Signer({
    ...signingWith(options),
    method: 'GET',
    url: urlOf({ key, query: { 'X-Amz-Expires': String(seconds) } }, options),
    datetime: now.toISOString().replace(/[:-]|\.\d{3}/g, ''),
    signQuery: true,
  });
  return (await signer.sign()).url.href;
}

function signingWith({ region, accessKeyId, secretAccessKey }: S3Options) {
  return { service: 's3', region, accessKeyId, secretAccessKey };
}

function urlOf({ key, query = {} }: Pick<S3Request, 'key' | 'query'>, { endpoint, bucket }: S3Options): string {
  const url = new URL(`${endpoint.replace(/\/+$/, '')}/${bucket}${key === undefined ? '' : `/${key}`}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

/** The text of the first element of a name. The answers of S3 are flat enough for that; what stands in them is of our own making. */
export function tagOf(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
}

/** The code of the fault, or its kind: its text may hold the address. */
function reasonOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: string };
  return typeof code === 'string' ? code : (name ?? 'unknown');
}
