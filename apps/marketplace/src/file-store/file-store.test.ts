import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestS3, testS3Keys } from '../testing/s3-server.ts';
import { isSigned } from '../testing/s3-signature.ts';
import { type FileStore, openLocalStore, openS3Store } from './index.ts';

const s3 = new TestS3();
let endpoint: string;
let directory: string;
const stores: Record<'local' | 's3', FileStore> = {} as never;

beforeAll(async () => {
  endpoint = await s3.start();
  directory = join(await mkdtemp(join(tmpdir(), 'fmhl-files-')), 'made', 'at', 'need');
  const bucket = { endpoint, region: 'eu-north-1', bucket: 'bucket', ...testS3Keys };
  stores.local = openLocalStore(directory);
  stores.s3 = openS3Store({ ...bucket, partBytes: 10, retryMs: 1, timeoutMs: 2_000 });
});
afterEach(() => {
  s3.faults.length = 0;
  s3.requests.length = 0;
});
afterAll(async () => {
  await s3.stop();
  await rm(join(directory, '..', '..', '..'), { recursive: true, force: true });
});

const signal = new AbortController().signal;
const options = { signal, contentType: 'text/csv; charset=utf-8', fileName: 'leads.csv' };
const download = { linkSeconds: 3_600, now: new Date() };

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const one of texts) yield Buffer.from(one);
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('0123456789');
  yield Buffer.from('0123456789');
  throw new Error('no more rows');
}

/** What somebody gets who follows a way to a file. */
async function contentOf(store: FileStore, key: string): Promise<string | undefined> {
  const found = await store.download(key, download);
  if (!found) return undefined;
  if ('stream' in found) return text(found.stream);
  const answer = await fetch(found.url);
  expect(answer.status).toBe(200);
  return answer.text();
}

describe.each(['local', 's3'] as const)('a %s store', (name) => {
  it('has a file once it is whole, whatever the sizes of its pieces', async () => {
    const all = ['', 'a', 'bc'.repeat(9), '', 'd'.repeat(41), 'ü'];
    const stored = await stores[name].put('whole.csv', pieces(...all), options);
    const whole = all.join('');
    expect(stored).toEqual({
      bytes: Buffer.byteLength(whole),
      sha256: createHash('sha256').update(whole).digest('hex'),
    });
    expect(await contentOf(stores[name], 'whole.csv')).toBe(whole);
    await stores[name].remove('whole.csv');
    expect(await contentOf(stores[name], 'whole.csv')).toBeUndefined();
  });

  it('has nothing of a file whose pieces end in a fault, and nothing stays behind', async () => {
    await expect(stores[name].put('broken.csv', broken(), options)).rejects.toThrow('no more rows');
    expect(await contentOf(stores[name], 'broken.csv')).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
    expect(s3.uploads.size).toBe(0);
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    async function* endless() {
      for (;;) {
        yield Buffer.from('0123456789');
        controller.abort(new Error('enough'));
      }
    }
    const put = stores[name].put('endless.csv', endless(), { ...options, signal: controller.signal });
    await expect(put).rejects.toThrow('enough');
    expect(s3.uploads.size + (await readdir(directory)).length).toBe(0);
  });

  it('never asks for a piece before the one before it has its place', async () => {
    const asked: number[] = [];
    async function* counted() {
      for (let at = 0; at < 5; at += 1) {
        asked.push(name === 's3' ? s3.requests.filter((one) => one.startsWith('PUT')).length : at);
        yield Buffer.from('0123456789');
      }
    }
    await stores[name].put('paced.csv', counted(), options);
    expect(asked).toEqual([0, 1, 2, 3, 4]);
    await stores[name].remove('paced.csv');
  });

  it('removes what is not there without a word, and takes no key that leads elsewhere', async () => {
    await stores[name].remove('nothing.csv');
    for (const key of ['../x.csv', 'a/b.csv', '.csv', 'a.csv\u0000', 'A.csv', 'a?b.csv'])
      await expect(stores[name].put(key, pieces('x'), options)).rejects.toThrow(TypeError);
  });
});

describe('a local store', () => {
  it('lets nobody else read', async () => {
    await stores.local.put('private.csv', pieces('x'), options);
    expect((await stat(join(directory, 'private.csv'))).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await readFile(join(directory, 'private.csv'), 'utf8')).toBe('x');
    await stores.local.remove('private.csv');
  });
});

describe('an S3 store', () => {
  it('uploads in parts of one size, and tells how a browser is to save the file', async () => {
    await stores.s3.put('parts.csv', pieces('x'.repeat(25)), options);
    expect(s3.requests).toEqual([
      'POST /bucket/parts.csv?uploads',
      ...Array(3).fill('PUT /bucket/parts.csv?partNumber'),
      'POST /bucket/parts.csv?uploadId',
    ]);
    expect(s3.objects.get('parts.csv')?.headers).toEqual({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="leads.csv"',
    });
  });

  it.each([503, 429, 'hang up'] as const)('tries again what failed for a moment: %s', async (status) => {
    const when = (method: string) => method === 'PUT';
    s3.faults.push({ when, status }, { when, status });
    await stores.s3.put('again.csv', pieces('0123456789', 'rest'), options);
    expect(s3.objects.get('again.csv')?.body.toString()).toBe('0123456789rest');
  });

  it('gives up after three tries, ends the upload, and says neither where nor with what', async () => {
    for (let at = 0; at < 3; at += 1) s3.faults.push({ when: (method) => method === 'PUT', status: 500 });
    await expect(stores.s3.put('down.csv', pieces('0123456789'), options)).rejects.toThrow(
      /^the file storage did not take a part: 500 SlowDown$/,
    );
    expect(s3.uploads.size).toBe(0);
  });

  it('notices when the parts could not be put together, although the answer was 200', async () => {
    s3.leastPartBytes = 100;
    await expect(stores.s3.put('small.csv', pieces('x'.repeat(25)), options)).rejects.toThrow('200 InvalidPart');
    s3.leastPartBytes = 5;
    expect(s3.objects.has('small.csv')).toBe(false);
  });

  it('is refused with another secret', async () => {
    const store = openS3Store({ endpoint, region: 'x', bucket: 'bucket', accessKeyId: 'a', secretAccessKey: 'b' });
    await expect(store.put('foreign.csv', pieces('x'), options)).rejects.toThrow('403 SignatureDoesNotMatch');
  });

  it('ends the uploads that a process left behind', async () => {
    s3.uploads.set('left', { key: 'left.csv', headers: {}, parts: new Map() });
    s3.uploads.set('other', { key: 'other.csv', headers: {}, parts: new Map() });
    await stores.s3.remove('left.csv');
    expect([...s3.uploads.keys()]).toEqual(['other']);
    s3.uploads.clear();
    s3.faults.push({ when: (method, url) => method === 'GET' && url.includes('uploads'), status: 501 });
    await stores.s3.remove('left.csv');
  });

  it('links to a file for as long as it is told, and for that file alone', async () => {
    await stores.s3.put('linked.csv', pieces('x'), options);
    const linkAt = async (now: Date) => {
      const found = await stores.s3.download('linked.csv', { linkSeconds: 60, now });
      return found && 'url' in found ? found.url : '';
    };
    const url = await linkAt(new Date());
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url.replace('linked.csv', 'parts.csv'))).status).toBe(403);
    expect((await fetch(url.replace('Expires=60', 'Expires=99'))).status).toBe(403);
    expect((await fetch(await linkAt(new Date(Date.now() - 61_000)))).status).toBe(403);
  });
});

it('the checks of the test server know the example that S3 publishes', () => {
  const url =
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
  const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
  const request = { method: 'GET', url, headers: { host: 'examplebucket.s3.amazonaws.com' }, body: Buffer.alloc(0) };
  expect(isSigned(request, secret, new Date('2013-05-24T12:00:00Z'))).toBe(true);
  expect(isSigned(request, secret, new Date('2013-05-25T12:00:00Z'))).toBe(false);
  expect(isSigned({ ...request, url: url.replace('test', 'best') }, secret, new Date('2013-05-24T12:00:00Z'))).toBe(
    false,
  );
});
