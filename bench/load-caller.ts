import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { admin } from '../proofs/harness/stage.ts';
import { openAuthenticator } from '../proofs/harness/authenticator.ts';

/** Somebody who posts to the API; rejects when refused. Over connections that are kept, and with a third of what `fetch` takes. */
export interface Poster {
  post<Body>(path: string, body?: object, key?: string): Promise<Body>;
}

/** A stranger, or who has the token. */
export function openPoster(apiUrl: string, token?: string): Poster {
  const agent = new Agent({ keepAlive: true });
  return {
    post: <Body>(path: string, body?: object, key?: string) =>
      new Promise<Body>((resolve, reject) => {
        const headers = {
          ...(body && { 'content-type': 'application/json' }),
          ...(token && { authorization: `Bearer ${token}` }),
          ...(key && { 'idempotency-key': key }),
        };
        const asked = request(`${apiUrl}/api/v1${path}`, { method: 'POST', agent, headers }, (answer) => {
          const { statusCode: status = 0 } = answer;
          text(answer).then((said) => {
            if (status >= 300) reject(new Error(`POST ${path}: ${status} ${said}`));
            else resolve(JSON.parse(said) as Body);
          }, reject);
        });
        asked.on('error', reject).end(body && JSON.stringify(body));
      }),
  };
}

/** The administrator, signed in with both factors. */
export async function signInAdmin(apiUrl: string): Promise<Poster> {
  const { email, password, totpSecret } = admin;
  const login = await openPoster(apiUrl).post<{ token: string }>('/auth/login', { email, password });
  const code = await openAuthenticator(totpSecret).nextCode();
  const { token } = await openPoster(apiUrl, login.token).post<{ token: string }>('/auth/mfa/challenge', { code });
  return openPoster(apiUrl, token);
}
