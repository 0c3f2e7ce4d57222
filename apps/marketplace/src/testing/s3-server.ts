import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isSigned, sha256 } from './s3-signature.ts';

export const testS3Keys = { accessKeyId: 'TESTKEY', secretAccessKey: 'test/secret+key' } as const;

interface StoredObject {
  readonly body: Buffer;
  readonly headers: Record<string, string>;
}

interface OpenUpload {
  readonly key: string;
  readonly headers: Record<string, string>;
  readonly parts: Map<number, Buffer>;
}

/** What the server says in place of its answer, once: a status, or `hang up`. */
export type Fault = { readonly when: (method: string, url: string) => boolean; readonly status: number | 'hang up' };

/**
 * A small S3: one bucket in memory, uploads in parts, links. It checks every signature by its own reading of the specification, and that a
 * part is what was signed; parts but the last have at least `leastPartBytes`.
 */
export class TestS3 {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, OpenUpload>();
  readonly requests: string[] = [];
  readonly faults: Fault[] = [];
  leastPartBytes = 5;
  readonly #server = createServer((request, response) => void this.#handle(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    this.requests.push(
      `${method} ${url.replace(/\?.*/, '')}${/[?&](uploads|partNumber|uploadId)\b/.exec(url)?.[0] ?? ''}`,
    );
    const fault = this.faults.findIndex(({ when }) => when(method, url));
    if (fault >= 0) return this.#fail(response, this.faults.splice(fault, 1)[0]?.status ?? 500);
    if (!isSigned({ method, url, headers, body }, testS3Keys.secretAccessKey)) {
      return answer(response, 403, '<Error><Code>SignatureDoesNotMatch</Code></Error>');
    }
    const { pathname, searchParams } = new URL(url, 'http://s3');
    const key = pathname.replace(/^\/bucket\/?/, '');
    this.#answer(response, { method, key, query: searchParams, body, headers: request.headers });
  }

  #fail(response: ServerResponse, status: number | 'hang up'): void {
    if (status === 'hang up') response.destroy();
    else answer(response, status, '<Error><Code>SlowDown</Code></Error>');
  }

  #answer(response: ServerResponse, { method, key, query, body, headers }: Received): void {
    const uploadId = query.get('uploadId');
    if (method === 'GET' && query.has('uploads')) return this.#list(response, query.get('prefix') ?? '');
    if (method === 'POST' && query.has('uploads')) return this.#begin(response, key, headers);
    if (uploadId !== null) return this.#part(response, { method, uploadId, query, body });
    const found = this.objects.get(key);
    if (method === 'DELETE') this.objects.delete(key);
    if (method === 'DELETE') return answer(response, 204, '');
    if (!found) return answer(response, 404, '<Error><Code>NoSuchKey</Code></Error>');
    return answer(response, 200, method === 'HEAD' ? '' : found.body, found.headers);
  }

  #list(response: ServerResponse, prefix: string): void {
    const found = [...this.uploads].filter(([, { key }]) => key.startsWith(prefix));
    const items = found.map(([id, { key }]) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`);
    answer(response, 200, `<ListMultipartUploadsResult>${items.join('')}</ListMultipartUploadsResult>`);
  }

  #begin(response: ServerResponse, key: string, headers: IncomingMessage['headers']): void {
    const id = randomUUID();
    const kept = Object.entries(headers).filter(([name]) => name === 'content-type' || name === 'content-disposition');
    this.uploads.set(id, { key, headers: Object.fromEntries(kept) as Record<string, string>, parts: new Map() });
    answer(response, 200, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  #part(
    response: ServerResponse,
    { method, uploadId, query, body }: Omit<Received, 'key' | 'headers'> & { uploadId: string },
  ): void {
    const upload = this.uploads.get(uploadId);
    if (!upload) return answer(response, 404, '<Error><Code>NoSuchUpload</Code></Error>');
    if (method === 'PUT') {
      upload.parts.set(Number(query.get('partNumber')), body);
      return answer(response, 200, '', { etag: `"${sha256(body).slice(0, 32)}"` });
    }
    this.uploads.delete(uploadId);
    if (method === 'DELETE') return answer(response, 204, '');
    return this.#complete(response, upload, body.toString());
  }

  /** 200 comes before the parts are put together, as it does there: a fault is told in the body. */
  #complete(response: ServerResponse, { key, headers, parts }: OpenUpload, named: string): void {
    const etags = [...named.matchAll(/<ETag>"(\w+)"<\/ETag>/g)].map(([, etag]) => etag);
    const bodies = [...parts].toSorted(([a], [b]) => a - b).map(([, body]) => body);
    const areWhole = etags.join() === bodies.map((body) => sha256(body).slice(0, 32)).join();
    const areLarge = bodies.slice(0, -1).every((body) => body.length >= this.leastPartBytes);
    if (!areWhole || !areLarge) return answer(response, 200, '<Error><Code>InvalidPart</Code></Error>');
    this.objects.set(key, { body: Buffer.concat(bodies), headers });
    answer(response, 200, '<CompleteMultipartUploadResult/>');
  }
}

interface Received {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
  readonly headers: IncomingMessage['headers'];
}

function answer(response: ServerResponse, status: number, body: string | Buffer, headers: Record<string, string> = {}) {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
