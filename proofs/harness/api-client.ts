/** An answer of the API. */
export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** Calls the API as a stranger, or as whoever `signIn` made of it. */
export interface ApiClient {
  get<Body>(path: string): Promise<Body>;
  post<Body>(path: string, body?: object, idempotencyKey?: string): Promise<Answer<Body>>;
  /** The same client, signed in. */
  signIn(email: string, password: string): Promise<ApiClient>;
}

export function openApiClient(apiUrl: string, token?: string): ApiClient {
  const call = async <Body>(method: string, path: string, body?: object, key?: string): Promise<Answer<Body>> => {
    const response = await fetch(`${apiUrl}/api/v1${path}`, {
      method,
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
        ...(key && { 'idempotency-key': key }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return { status: response.status, body: JSON.parse(text) as Body };
  };
  const post = <Body>(path: string, body?: object, key?: string) => call<Body>('POST', path, body, key);
  return {
    get: async <Body>(path: string) => (await call<Body>('GET', path)).body,
    post,
    async signIn(email, password) {
      const { body } = await post<{ token: string }>('/auth/login', { email, password });
      return openApiClient(apiUrl, body.token);
    },
  };
}
