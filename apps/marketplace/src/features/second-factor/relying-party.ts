/** Who passkeys are made for: browsers show one to no other site. */
export interface RelyingParty {
  /** A host name: passkeys are bound to it. */
  readonly id: string;
  /** Where pages that ask for one may come from. */
  readonly origin: string;
}

/** That of the public address. Browsers take no IP address for it, so one of this machine counts as `localhost`. */
export function relyingPartyOf(publicUrl: string): RelyingParty {
  const url = new URL(publicUrl);
  if (/^(127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)) url.hostname = 'localhost';
  return { id: url.hostname, origin: url.origin };
}
