import { type Caller, openCaller } from '../../apps/marketplace/src/simulator/live/caller.ts';
import { type Authenticator, openAuthenticator } from './authenticator.ts';

/** Calls the API as a stranger, or as whoever `signIn` made of it. */
export interface ApiClient extends Caller {
  /** The same client, signed in, with a second factor where there is one; staff without one enrol it in `app`. */
  signIn(email: string, password: string, app?: Authenticator): Promise<ApiClient>;
}

export function openApiClient(apiUrl: string, token?: string): ApiClient {
  const caller = openCaller(apiUrl, token);
  return {
    ...caller,
    async signIn(email, password, app = openAuthenticator()) {
      const { body } = await caller.post<SignedIn>('/auth/login', { email, password });
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
