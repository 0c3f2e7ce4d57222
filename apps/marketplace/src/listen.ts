import type { FastifyInstance } from 'fastify';
import { ConfigError } from './config.ts';

/** Listens, or throws a `ConfigError` that names the setting to change. Answers the port that was taken. */
export async function listen(
  server: FastifyInstance,
  at: { host: string; port: number; setting: string },
): Promise<number> {
  try {
    await server.listen({ host: at.host, port: at.port });
  } catch (error) {
    await server.close();
    throw listenFault(error, at);
  }
  const address = server.server.address();
  return typeof address === 'object' && address ? address.port : at.port;
}

function listenFault(
  error: unknown,
  { host, port, setting }: { host: string; port: number; setting: string },
): unknown {
  const code = (error as { code?: unknown }).code;
  if (code === 'EADDRINUSE')
    return new ConfigError([`${setting}: port ${port} is in use; choose another with ${setting}=<port>`]);
  if (code === 'EACCES')
    return new ConfigError([`${setting}: port ${port} may not be used by this user; choose one above 1023`]);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new ConfigError([`HOST: ${host} is not an address of this machine`]);
  return error;
}
