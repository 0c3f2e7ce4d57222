import { problem } from '@fmhl/ops/contract';
import type { z } from 'zod';
import { ConfigError } from '../config.ts';

/** The sign-in routes of a running product. */
export interface AuthClient {
  /** Throws a `ConfigError` in words for the person at the command, and a {@link WrongCode} where another try may help. */
  post<S extends z.ZodType>(path: string, answer: S, options?: { body?: object; token?: string }): Promise<z.infer<S>>;
}

/** The code was wrong; the session that asked for it stands. */
export class WrongCode extends ConfigError {
  constructor() {
    super(['the code is wrong, or was used before: wait for the next one']);
  }
}

const inWords: Readonly<Record<string, string>> = {
  invalid_credentials: 'e-mail or password is wrong',
  session_expired: 'too many wrong codes: sign in again',
  rate_limited: 'too many failed attempts: try again in 15 minutes',
};

export function openAuthClient(url: string): AuthClient {
  return {
    async post(path, answer, { body, token } = {}) {
      const response = await fetch(`${url}/api/v1/auth${path}`, {
        method: 'POST',
        headers: {
          ...(body && { 'content-type': 'application/json' }),
          ...(token && { authorization: `Bearer ${token}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
        redirect: 'error',
      }).catch((error: unknown) => {
        throw new ConfigError([`FMHL_URL: ${url} cannot be reached (${reasonOf(error)})`]);
      });
      if (!response.ok) throw await faultOf(response, url);
      return answer.parse(await response.json());
    },
  };
}

async function faultOf(response: Response, url: string): Promise<ConfigError> {
  const read = problem.safeParse(await response.json().catch(() => undefined));
  const code = read.success ? read.data.code : '';
  if (code === 'invalid_code') return new WrongCode();
  return new ConfigError([inWords[code] ?? `FMHL_URL: ${url} answered ${response.status}`]);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string }; message: string };
  return cause?.code ?? message;
}
