import { defaultPrefix, headersOf, type OperationsClient, type OperationsRequest, parsed, pathOf } from './client.ts';

export interface HttpClientOptions {
  /** Of the application, such as `https://fmhl.example.com`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`. Without one every request is refused with 401. */
  readonly token?: string | undefined;
  /** Default `/api/v1/admin`. */
  readonly prefix?: string;
  /** Longest wait for an answer, in ms. Default 30,000. A stream has it for its first byte. */
  readonly timeoutMs?: number;
}

/** The operations API of a running application. */
export function openHttpClient({
  url,
  token,
  prefix = defaultPrefix,
  timeoutMs = 30_000,
}: HttpClientOptions): OperationsClient {
  const base = url.replace(/\/+$/, '');
  const send = async (request: OperationsRequest): Promise<Response> => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${timeoutMs / 1_000} s`)), timeoutMs);
    try {
      return await fetch(`${base}${pathOf(prefix, request)}`, {
        method: request.method,
        headers: { ...headersOf(request), ...(token && { authorization: `Bearer ${token}` }) },
        ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
        // A token must not follow to where an answer points.
        redirect: 'error',
        signal: late.signal,
      });
    } catch (error) {
      throw new Error(`${base} cannot be reached (${reasonOf(error)})`);
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    async request(request) {
      const response = await send(request);
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: parsed(await response.text()),
      };
    },
    async stream(request) {
      const response = await send(request);
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        chunks: response.body ?? nothing(),
      };
    },
    async close() {},
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** `fetch` hides why it failed in the cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
  return cause?.message || cause?.code || message;
}
