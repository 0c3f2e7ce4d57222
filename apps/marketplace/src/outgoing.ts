import { lookup as resolve } from 'node:dns/promises';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Thrown for an address that somebody gave and that we do not call. The message names the rule, never the address. */
export class OutgoingRefused extends Error {
  override name = 'OutgoingRefused';
}

export interface Destination {
  readonly url: URL;
  /** The addresses that were looked up and judged; the call goes to the first and to no other. */
  readonly addresses: readonly string[];
}

export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface OutgoingAnswer {
  readonly status: number;
  /** The first 64 KiB. */
  readonly body: string;
}

export interface OutgoingOptions {
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 10,000, from the look-up of the name to the end of the answer. */
  readonly timeoutMs?: number;
}

/** What nobody outside a network reaches: this machine, private and link-local networks (where clouds keep credentials), multicast, the reserved. */
const internalNetworks = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** Only global unicast is called, less what stands for an IPv4 address or is reserved within it. */
const globalUnicast = networks('ipv6', ['2000::/3']);
const reservedWithin = networks('ipv6', ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);
const internalIpv4 = networks('ipv4', internalNetworks);

function networks(version: 'ipv4' | 'ipv6', ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    list.addSubnet(address, Number(prefix), version);
  }
  return list;
}

/** Whether an address (as a resolver writes it) is one that strangers on the internet may reach. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !internalIpv4.check(address, 'ipv4');
  return version === 6 && globalUnicast.check(address, 'ipv6') && !reservedWithin.check(address, 'ipv6');
}

/**
 * Judges an address that somebody gave: https on port 443, no user, no fragment, a name or public address. Every address of the name must
 * be public. Throws {@link OutgoingRefused}.
 */
export async function judgeDestination(text: string, resolveName: Resolve = resolveAll): Promise<Destination> {
  if (!URL.canParse(text)) throw new OutgoingRefused('not a URL');
  const url = new URL(text);
  if (url.protocol !== 'https:') throw new OutgoingRefused('only https');
  if (url.port !== '') throw new OutgoingRefused('only port 443');
  if (url.username !== '' || url.password !== '') throw new OutgoingRefused('no user or password');
  // The parser has turned decimal, octal and hexadecimal forms of an IPv4 address into the common one by now.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) === 0 && !isPublicName(host)) throw new OutgoingRefused('no name of the public internet');
  const addresses = isIP(host) === 0 ? await resolveName(host) : [host];
  if (addresses.length === 0) throw new OutgoingRefused('the name has no address');
  if (!addresses.every(isPublicAddress)) throw new OutgoingRefused('an internal address');
  return { url, addresses };
}

/** Has a dot inside, and does not end as names of one's own network do. */
function isPublicName(host: string): boolean {
  const name = host.replace(/\.$/, '').toLowerCase();
  return (
    name.includes('.') && !/(^|\.)(localhost|local|internal|intranet|lan|home|corp|arpa|test|invalid|onion)$/.test(name)
  );
}

async function resolveAll(hostname: string): Promise<readonly string[]> {
  try {
    return (await resolve(hostname, { all: true, verbatim: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/**
 * Posts to an address that somebody gave. The connection goes to the very address that was judged, under the name for TLS, so that a name
 * that changes between look-up and call gains nothing. A redirect is an answer like any other and is not followed.
 */
export async function postOutgoing(
  text: string,
  options: OutgoingOptions,
  resolveName?: Resolve,
): Promise<OutgoingAnswer> {
  const { body, headers, timeoutMs = 10_000 } = options;
  const signal = AbortSignal.timeout(timeoutMs);
  const { url, addresses } = await judgeDestination(text, resolveName);
  return new Promise((settle, fail) => {
    const call = httpsRequest(url, {
      method: 'POST',
      headers,
      signal,
      agent: false,
      lookup: pinned(addresses[0] ?? ''),
    });
    call.once('error', fail);
    call.once('response', (answer) => {
      let read = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        read = (read + chunk).slice(0, mostRead);
        if (read.length === mostRead) answer.destroy();
      });
      answer.once('close', () => settle({ status: answer.statusCode ?? 0, body: read }));
      answer.once('error', fail);
    });
    call.end(body);
  });
}

const mostRead = 64 * 1024;

/** Whatever name is asked for, the address that was judged is the answer. */
export function pinned(address: string): LookupFunction {
  const family = isIP(address);
  return (_hostname, { all }, done) => {
    if (all) done(null, [{ address, family }]);
    else done(null, address, family);
  };
}
