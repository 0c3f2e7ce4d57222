/** An answer of the API. */
export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
  readonly headers: Headers;
}

export interface Asking {
  readonly body?: object | undefined;
  /** `Idempotency-Key`. */
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Somebody who calls the API. What it refuses is thrown as `CallRefused`, but by `ask`. */
export interface Caller {
  get<Body>(path: string): Promise<Body>;
  post<Body>(path: string, body?: object, key?: string): Promise<Answer<Body>>;
  put<Body>(path: string, body?: object, key?: string): Promise<Answer<Body>>;
  patch<Body>(path: string, body?: object, key?: string): Promise<Answer<Body>>;
  /** Whatever is answered, refusals too. */
  ask<Body>(method: string, path: string, asking?: Asking): Promise<Answer<Body>>;
}

export class CallRefused extends Error {
  readonly status: number;
  readonly body: string;

  constructor(call: string, { status, body }: { status: number; body: string }) {
    super(`${call}: ${status} ${body}`);
    this.name = 'CallRefused';
    this.status = status;
    this.body = body;
  }
}

/** Calls the API at `url` as a stranger, or as whoever `token` is of; a function is asked before each call. */
export function openCaller(url: string, token?: string | (() => Promise<string>)): Caller {
  const send = async (method: string, path: string, { body, key, headers }: Asking = {}) => {
    const bearer = typeof token === 'function' ? await token() : token;
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(bearer && { authorization: `Bearer ${bearer}` }),
        ...(key && { 'idempotency-key': key }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { response, text: await response.text() };
  };
  const must = async <Body>(method: string, path: string, asking?: Asking): Promise<Answer<Body>> => {
    const { response, text } = await send(method, path, asking);
    const { status, headers } = response;
    if (!response.ok) throw new CallRefused(`${method} ${path}`, { status, body: text });
    return { status, headers, body: (text === '' ? undefined : JSON.parse(text)) as Body };
  };
  return {
    get: async <Body>(path: string) => (await must<Body>('GET', path)).body,
    post: (path, body, key) => must('POST', path, { body, key }),
    put: (path, body, key) => must('PUT', path, { body, key }),
    patch: (path, body, key) => must('PATCH', path, { body, key }),
    async ask<Body>(method: string, path: string, asking?: Asking) {
      const { response, text } = await send(method, path, asking);
      const { status, headers } = response;
      return { status, headers, body: bodyOf(text) as Body };
    },
  };
}

function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
