import { describe, expect, it } from 'vitest';
import { isPublicAddress, judgeDestination, OutgoingRefused, pinned, postOutgoing } from './outgoing.ts';

const at =
  (...addresses: string[]) =>
  async () =>
    addresses;
const somewhere = at('93.184.215.14');

describe('an address that somebody gave', () => {
  it.each([
    'https://hooks.example.com/lead',
    'https://hooks.example.com:443/lead?key=1',
    'https://93.184.215.14/',
    'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/',
    'https://XN--BCHER-KVA.example/',
  ])('%s is called', async (url) => {
    expect((await judgeDestination(url, somewhere)).addresses).toHaveLength(1);
  });

  it.each([
    ['nothing', ''],
    ['no URL', 'hooks.example.com'],
    ['plain http', 'http://hooks.example.com/'],
    ['another scheme', 'ftp://hooks.example.com/'],
    ['a file', 'file:///etc/passwd'],
    ['gopher', 'gopher://127.0.0.1:6379/_FLUSHALL'],
    ['data', 'data:text/plain,hello'],
    ['another port', 'https://hooks.example.com:8443/'],
    ['the port of Redis', 'https://hooks.example.com:6379/'],
    ['a user', 'https://user@hooks.example.com/'],
    ['a user and a password', 'https://user:password@hooks.example.com/'],
    ['a host behind a user that looks like one', 'https://hooks.example.com@127.0.0.1/'],
    ['loopback', 'https://127.0.0.1/'],
    ['loopback, elsewhere', 'https://127.9.8.7/'],
    ['loopback, short', 'https://127.1/'],
    ['loopback, decimal', 'https://2130706433/'],
    ['loopback, octal', 'https://0177.0.0.1/'],
    ['loopback, hexadecimal', 'https://0x7f.0.0.1/'],
    ['loopback, one hexadecimal', 'https://0x7f000001/'],
    ['loopback, in wide digits', 'https://１２７.0.0.1/'],
    ['loopback, with dots of another script', 'https://127。0。0。1/'],
    ['loopback, escaped', 'https://%31%32%37.0.0.1/'],
    ['this host', 'https://0.0.0.0/'],
    ['this host, short', 'https://0/'],
    ['a private network', 'https://10.0.0.1/'],
    ['another', 'https://172.16.0.1/'],
    ['the last of it', 'https://172.31.255.255/'],
    ['a third', 'https://192.168.1.1/'],
    ['link-local: credentials of a cloud', 'https://169.254.169.254/latest/meta-data/'],
    ['the same, decimal', 'https://2852039166/'],
    ['shared by a provider (CGNAT)', 'https://100.64.0.1/'],
    ['credentials of another cloud', 'https://100.100.100.200/'],
    ['multicast', 'https://224.0.0.1/'],
    ['broadcast', 'https://255.255.255.255/'],
    ['for benchmarks', 'https://198.18.0.1/'],
    ['IPv6 loopback', 'https://[::1]/'],
    ['IPv6 unspecified', 'https://[::]/'],
    ['IPv4 in IPv6', 'https://[::ffff:127.0.0.1]/'],
    ['the same, in hexadecimal', 'https://[::ffff:7f00:1]/'],
    ['IPv4 in IPv6, the old way', 'https://[::127.0.0.1]/'],
    ['IPv4 through NAT64', 'https://[64:ff9b::7f00:1]/'],
    ['IPv4 through 6to4', 'https://[2002:7f00:1::]/'],
    ['IPv4 through Teredo', 'https://[2001:0:7f00:1::]/'],
    ['IPv6 link-local', 'https://[fe80::1]/'],
    ['IPv6 private', 'https://[fd00:ec2::254]/'],
    ['IPv6 site-local', 'https://[fec0::1]/'],
    ['IPv6 multicast', 'https://[ff02::1]/'],
    ['this machine by name', 'https://localhost/'],
    ['with a dot behind', 'https://localhost./'],
    ['below it', 'https://app.localhost/'],
    ['a name without a dot', 'https://redis/'],
    ['a name of a cluster', 'https://api.default.svc.cluster.local/'],
    ['the metadata of a cloud by name', 'https://metadata.google.internal/'],
  ])('that is %s is refused: %s', async (_what, url) => {
    await expect(judgeDestination(url, somewhere)).rejects.toThrow(OutgoingRefused);
  });

  it('whose name has any internal address is refused, and so is one that has none', async () => {
    for (const resolve of [at('127.0.0.1'), at('93.184.215.14', '10.0.0.5'), at('::ffff:169.254.169.254'), at()]) {
      await expect(judgeDestination('https://rebind.example.com/', resolve)).rejects.toThrow(OutgoingRefused);
    }
  });

  it('is not repeated in the refusal', async () => {
    const refusal = judgeDestination('https://user:secret@10.0.0.1/').catch((error: unknown) => String(error));
    expect(await refusal).not.toMatch(/secret|10\.0/);
  });
});

describe('a call', () => {
  it('goes to the address that was judged, whatever the name says a moment later', async () => {
    let asked = 0;
    const rebinding = async () => (asked++ === 0 ? ['93.184.215.14'] : ['127.0.0.1']);
    const { addresses } = await judgeDestination('https://rebind.example.com/', rebinding);
    const look = pinned(addresses[0] ?? '');
    look('rebind.example.com', {}, (_error, address) => expect(address).toBe('93.184.215.14'));
    look('localhost', { all: true }, (_error, found) =>
      expect(found).toEqual([{ address: '93.184.215.14', family: 4 }]),
    );
    expect(asked).toBe(1);
  });

  it('is never made to what is refused', async () => {
    await expect(postOutgoing('https://127.0.0.1/', { body: '{}' })).rejects.toThrow(OutgoingRefused);
  });
});

describe('an address of a resolver', () => {
  it.each(['', 'localhost', '1.2.3', '999.1.1.1', '::g'])('%j is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '100.128.0.1', '169.253.0.1', '2606:4700:4700::1111'])(
    '%s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );
});
