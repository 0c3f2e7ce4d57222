import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { BlockList, isIP } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Health, HealthAnswer } from '../health/index.ts';
import { currentContext } from '../logging/index.ts';
import type { Metrics } from '../metrics/index.ts';

export interface ProbeOptions {
  health: Health;
  metrics: Pick<Metrics, 'enabled' | 'render' | 'contentType'>;
  /** Checks without which this role cannot work, for `/health/serving`. Default `database` and `redis`. */
  needs?: readonly string[];
  /** True on a listener strangers reach: others than `allowedNetworks`, and whatever came through a proxy, get 404. */
  guarded?: boolean;
  /** CIDR ranges or addresses, used when guarded. Default loopback. A bad one throws `RangeError` at registration. */
  allowedNetworks?: readonly string[];
  /** Names of this server by which it may be asked when guarded, besides `localhost` and IP addresses. Default none. */
  allowedHosts?: readonly string[];
}

/** `/health/live`, `/health/ready`, `/health`, `/health/serving` and `/metrics`, as a Fastify plugin. */
export async function probes(app: FastifyInstance, options: ProbeOptions): Promise<void> {
  const { health, metrics, needs = ['database', 'redis'], guarded = false } = options;
  if (guarded) guardNetworks(app, options.allowedNetworks, options.allowedHosts);
  const route = { logLevel: 'silent' } as const;
  app.get('/health/live', route, (_, reply) => send(reply, health.live()));
  app.get('/health/ready', route, async (_, reply) => send(reply, await health.ready()));
  app.get('/health', route, async (_, reply) => send(reply, await health.ready({ details: true })));
  app.get('/health/serving', route, async (_, reply) => send(reply, await health.serving(needs)));
  app.get('/metrics', route, async (_, reply) => {
    if (!metrics.enabled) return notFound(reply);
    return reply
      .header('content-type', metrics.contentType)
      .header('cache-control', 'no-store')
      .send(await metrics.render());
  });
}

/**
 * Answers 404 on every route of `app` to peers outside `networks` (CIDR ranges or addresses, default loopback; an empty list is nobody), to
 * what a proxy says it passed on, and to what asks another host than `localhost`, an IP address or one of `hosts` (names without port,
 * default none): a page on the web can have its own name lead here. A bad network throws `RangeError`. A proxy that tells neither by a
 * header nor by the host cannot be told from a peer: where one may stand in front, pass no network it is in.
 */
export function guardNetworks(
  app: FastifyInstance,
  networks: readonly string[] = ['127.0.0.0/8', '::1/128'],
  hosts: readonly string[] = [],
): void {
  const allows = peerCheck(networks);
  const names = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())]);
  app.addHook('onRequest', async (request, reply) => {
    const isAllowed = allows(request.socket.remoteAddress) && isDirect(request) && asksHere(request, names);
    if (!isAllowed) return notFound(reply);
  });
}

function send(reply: FastifyReply, { code, body }: HealthAnswer<object>) {
  return reply
    .code(code)
    .header('cache-control', 'no-store')
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify(body));
}

/** The same words as for a path that does not exist. */
function notFound(reply: FastifyReply) {
  const correlationId = currentContext()?.correlationId ?? randomUUID();
  return reply
    .code(404)
    .header('cache-control', 'no-store')
    .send({ error: 'Not found', code: 'not_found', correlation_id: correlationId });
}

/** False for a request that a proxy passed on: its peer address is the proxy's, which says nothing about the caller. */
function isDirect({ headers }: FastifyRequest): boolean {
  return !Object.keys(headers).some((name) => proxyHeaders.has(name) || name.startsWith('x-forwarded-'));
}

const proxyHeaders: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-envoy-external-address',
  'cf-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'true-client-ip',
]);

/** A name that strangers own may lead to any address; an address, and the names of this server, lead here alone. */
function asksHere({ headers: { host = '' } }: FastifyRequest, names: ReadonlySet<string>): boolean {
  const name = host.replace(/:\d*$/, '').toLowerCase();
  return names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}

/** Judges the address of a socket. IPv4 in IPv6 clothes counts as IPv4. */
function peerCheck(networks: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return (address) => {
    const plain = address?.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '') ?? '';
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  };
}

function addNetwork(list: BlockList, network: string) {
  const [address = '', prefix, ...rest] = network.trim().split('/');
  const version = isIP(address);
  const longest = version === 4 ? 32 : 128;
  const length = prefix === undefined ? longest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (version === 0 || rest.length > 0 || !(length <= longest))
    throw new RangeError(`${network} is not a network (CIDR)`);
  list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
}

/** The port of a listener is in use by another process, or may not be used. */
export class PortTaken extends Error {
  override name = 'PortTaken';
  readonly host: string;
  readonly port: number;

  constructor(host: string, port: number, cause?: unknown) {
    super(`${host}:${port} cannot be listened on`, { cause });
    this.host = host;
    this.port = port;
  }
}

export interface ProbeListenerOptions extends ProbeOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
}

/** A small listener of its own for the probes of a process, without a log. */
export interface ProbeListener {
  /** Resolves when it listens. Rejects with {@link PortTaken}. */
  start(): Promise<{ port: number }>;
  /** Closes it and its idle connections. Safe before start and twice. */
  stop(): Promise<void>;
}

/** Makes the internal listener; `start` opens it. */
export function probeListener({ host, port, ...options }: ProbeListenerOptions): ProbeListener {
  const app = fastify({ logger: false, forceCloseConnections: true, routerOptions: { ignoreTrailingSlash: true } });
  app.setNotFoundHandler((_, reply) => notFound(reply));
  app.register(probes, options);
  let started: Promise<{ port: number }> | undefined;

  async function listen() {
    try {
      await app.listen({ host, port });
    } catch (error) {
      await app.close();
      const code = (error as { code?: unknown }).code;
      throw code === 'EADDRINUSE' || code === 'EACCES' ? new PortTaken(host, port, error) : error;
    }
    return { port: (app.server.address() as AddressInfo).port };
  }

  return {
    start: () => (started ??= listen()),
    async stop() {
      await app.close();
    },
  };
}
