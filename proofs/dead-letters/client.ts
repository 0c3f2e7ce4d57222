import { setTimeout as wait } from 'node:timers/promises';

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** Asks the admin API until it answers, with one idempotency key for all tries of a write: a killed API is asked again. */
export interface Client {
  get<Body>(path: string): Promise<Body>;
  /** `key` makes a second try the same request. */
  post<Body>(path: string, body: object, key: string): Promise<Answer<Body>>;
  /** Requests that were sent more than once, since the API died before it answered. */
  readonly repeated: number;
}

const answersWithinMs = 60_000;
const pauseMs = 50;

export function openClient(baseUrl: string): Client {
  let repeated = 0;
  const ask = async <Body>(path: string, request: RequestInit): Promise<Answer<Body>> => {
    const deadline = performance.now() + answersWithinMs;
    for (let tries = 1; ; tries += 1) {
      try {
        const response = await fetch(`${baseUrl}${path}`, { ...request, signal: AbortSignal.timeout(10_000) });
        const body = (await response.json()) as Body;
        // Another try of the same write is still under way.
        if (response.status < 500 && !isInProgress(body)) {
          repeated += Number(tries > 1);
          return { status: response.status, body };
        }
        if (performance.now() > deadline) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      await wait(pauseMs);
    }
  };
  const authorization = 'Bearer proof';
  return {
    get repeated() {
      return repeated;
    },
    async get<Body>(path: string) {
      const { status, body } = await ask<Body>(path, { headers: { authorization } });
      if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
      return body;
    },
    post: (path, body, key) =>
      ask(path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      }),
  };
}

function isInProgress(body: unknown): boolean {
  return (body as { code?: string } | null)?.code === 'in_progress';
}
