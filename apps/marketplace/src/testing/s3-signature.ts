import { createHash, createHmac } from 'node:crypto';

/** What a request to S3 is signed over, as it came. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as they came, undecoded. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');
const hmac = (key: Buffer | string, data: string) => createHmac('sha256', key).update(data).digest();

/** Whether a request carries the signature (version 4) of who knows the secret, in its header or in its query, for what it holds now. */
export function isSigned(request: SignedRequest, secret: string, now: Date = new Date()): boolean {
  const [path = '', query = ''] = request.url.split('?', 2);
  const parameters = new URLSearchParams(query);
  const header = /Credential=(\S+), SignedHeaders=(\S+), Signature=(\w+)/.exec(textOf(request, 'authorization'));
  const [, credential, names, signature] = header ?? [
    '',
    parameters.get('X-Amz-Credential') ?? '',
    parameters.get('X-Amz-SignedHeaders') ?? '',
    parameters.get('X-Amz-Signature') ?? '',
  ];
  const at = header ? textOf(request, 'x-amz-date') : (parameters.get('X-Amz-Date') ?? '');
  const contentHash = header ? textOf(request, 'x-amz-content-sha256') : 'UNSIGNED-PAYLOAD';
  if (header && contentHash !== sha256(request.body)) return false;
  const seconds = header ? 900 : Number(parameters.get('X-Amz-Expires'));
  if (now.getTime() > momentOf(at).getTime() + seconds * 1000) return false;
  const canonical = [
    request.method,
    path,
    canonicalQuery(query),
    ...(names ?? '').split(';').map((name) => `${name}:${textOf(request, name).trim()}`),
    '',
    names,
    contentHash,
  ].join('\n');
  return signature === sign(canonical, { at, credential: credential ?? '', secret });
}

function sign(canonical: string, { at, credential, secret }: { at: string; credential: string; secret: string }) {
  const [, ...scope] = credential.split('/');
  const key = scope.reduce<Buffer | string>((key, part) => hmac(key, part), `AWS4${secret}`);
  return hmac(key, ['AWS4-HMAC-SHA256', at, scope.join('/'), sha256(canonical)].join('\n')).toString('hex');
}

/** In the order of names, without the signature; a name without a value has an empty one. */
function canonicalQuery(query: string): string {
  const pairs = query.split('&').filter((pair) => pair !== '' && !pair.startsWith('X-Amz-Signature='));
  return pairs
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .toSorted()
    .join('&');
}

/** `20260131T120000Z`. */
function momentOf(text: string): Date {
  return new Date(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function textOf({ headers }: SignedRequest, name: string): string {
  return String(headers[name] ?? '');
}
