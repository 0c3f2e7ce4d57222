import { createHash, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { refuse } from '../../errors.ts';
import { readCookie, sessionCookie } from './session-cookie.ts';

/** 32 random bytes, base64url. */
export function createToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What of a token is stored. It is random throughout, so a fast hash is enough. */
export function sha256Of(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export type PresentedToken = { by: 'bearer' | 'cookie'; sha256: Buffer } | { by: 'api_token'; token: string };

const form = /^[\w-]{43}$/;
/** What a machine sends: the same behind a prefix. */
const apiTokenForm = /^fmhl_[\w-]{43}$/;

/** The token of a request, the header before the cookie. Refuses `token_invalid` for a header of another form. */
export function presentedToken(request: FastifyRequest): PresentedToken | undefined {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined) {
    const [, token = ''] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
    if (apiTokenForm.test(token)) return { token, by: 'api_token' };
    if (!form.test(token)) throw refuse('token_invalid');
    return { sha256: sha256Of(token), by: 'bearer' };
  }
  const token = readCookie(sessionCookie(request), cookie);
  return token !== undefined && form.test(token) ? { sha256: sha256Of(token), by: 'cookie' } : undefined;
}
