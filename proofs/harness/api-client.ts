import { type Authenticator, openAuthenticator } from './authenticator.ts';

/** An answer of the API. */
export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** Calls the API as a stranger, or as whoever `signIn` made of it. */
export interface ApiClient {
  get<Body>(path: string): Promise<Body>;
  post<Body>(path: string, body?: object, idempotencyKey?: string): Promise<Answer<Body>>;
  /** The same client, signed in, with a second factor where there is one; staff without one enrol it in `app`. */
  signIn(email: string, password: string, app?: Authenticator): Promise<ApiClient>;
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
    async signIn(email, password, app = openAuthenticator()) {
      const { body } = await post<SignedIn>('/auth/login', { email, password });
      const signedIn = openApiClient(apiUrl, body.token);
      if (body.mfa_required) return openApiClient(apiUrl, await challenge(signedIn, app));
      return body.user.role === 'provider' ? signedIn : openApiClient(apiUrl, await enrol(signedIn, app));
    },
  };
}

interface SignedIn {
  readonly token: string;
  readonly mfa_required: boolean;
  readonly user: { readonly role: string };
}

async function challenge(client: ApiClient, app: Authenticator): Promise<string> {
  const { body } = await client.post<{ token: string }>('/auth/mfa/challenge', { code: await app.nextCode() });
  return body.token;
}

/** Turns the second factor of a client on. Answers its new token. */
export async function enrol(client: ApiClient, app: Authenticator): Promise<string> {
  app.secret = (await client.post<{ secret: string }>('/auth/mfa/enroll')).body.secret;
  const { body } = await client.post<{ token: string }>('/auth/mfa/verify', { code: await app.nextCode() });
  return body.token;
}
