/** One request of the operations API. */
export interface OperationsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the prefix of the API, such as `/queues/dlq`. */
  readonly path: string;
  /** What is undefined is not sent. */
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** 8–64 of `A–Z a–z 0–9 _ -`: a repeat under the same key gets the first answer. */
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of any status. Names of headers are in lower case. */
export interface OperationsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed JSON; undefined where there was none. */
  readonly body: unknown;
}

/** The same, its body still to come. */
export interface OperationsStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** The operations API, over HTTP or in this process: the commands cannot tell which. Rejects when nobody answers. */
export interface OperationsClient {
  request(request: OperationsRequest): Promise<OperationsAnswer>;
  /** For answers too large to hold. */
  stream(request: OperationsRequest): Promise<OperationsStream>;
  /** Ends what the client holds open. */
  close(): Promise<void>;
}

/** Where the API is mounted, unless a host says otherwise. */
export const defaultPrefix = '/api/v1/admin';

/** The path with its query string. */
export function pathOf(prefix: string, { path, query = {} }: OperationsRequest): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.append(name, String(value));
  return `${prefix}${path}${search.size > 0 ? `?${search.toString()}` : ''}`;
}

/** The headers of a request; the body is sent as JSON. */
export function headersOf({ body, idempotencyKey, headers }: OperationsRequest): Record<string, string> {
  return {
    accept: 'application/json',
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
    ...headers,
  };
}

/** A body as JSON; a text that is none, such as the page of a proxy, as the text. */
export function parsed(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
