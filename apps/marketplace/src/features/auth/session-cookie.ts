import { isLocalHost } from '../../local-host.ts';

/** The cookie of a session on one host. */
export interface SessionCookie {
  name: string;
  secure: boolean;
}

/** What of a request tells which form its cookie has. */
export interface Reached {
  readonly protocol: string;
  readonly hostname: string;
  readonly server?: { readonly reachedOverTls?: boolean };
}

declare module 'fastify' {
  interface FastifyInstance {
    /** People reach the application over TLS, whatever host a request names. */
    readonly reachedOverTls?: boolean;
  }
}

/**
 * Its `__Host-` form is bound to one host over TLS; browsers refuse that on plain http localhost. A request says of itself that it went
 * there, so that does not count where the public address is over TLS.
 */
export function sessionCookie({ protocol, hostname, server }: Reached): SessionCookie {
  const secure = server?.reachedOverTls === true || protocol === 'https' || !isLocalHost(hostname);
  return { name: secure ? '__Host-fmhl_session' : 'fmhl_session', secure };
}

/** The header that sets it. A token is base64url, so nothing of it needs escaping. */
export function writeCookie({ name, secure }: SessionCookie, token: string, expires: Date): string {
  return `${name}=${token}; Path=/; Expires=${expires.toUTCString()}; HttpOnly; ${secure ? 'Secure; ' : ''}SameSite=Lax`;
}

/** Its value among the cookies a browser sent. */
export function readCookie({ name }: SessionCookie, header: string | undefined): string | undefined {
  const pairs = header?.split(';').map((pair) => pair.trim()) ?? [];
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}
