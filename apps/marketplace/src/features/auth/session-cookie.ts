/** The cookie of a session on one host. */
export interface SessionCookie {
  name: string;
  secure: boolean;
}

/** Its `__Host-` form is bound to one host over TLS; browsers refuse that on plain http localhost. */
export function sessionCookie({ protocol, hostname }: { protocol: string; hostname: string }): SessionCookie {
  const secure = protocol === 'https' || !isLocal(hostname);
  return { name: secure ? '__Host-fmhl_session' : 'fmhl_session', secure };
}

function isLocal(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname);
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
