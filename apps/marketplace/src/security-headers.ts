import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import { refuse } from './errors.ts';

/** Longest path with its query, in characters; headers together may have 16 KiB. */
const longestUrl = 8_192;

const oneYearSeconds = 31_536_000;

/**
 * What every answer tells a browser: run nothing but our own, show us in no frame, guess no types, tell nobody where you came from, keep
 * no answer of the API. Over TLS besides: come by TLS alone. Refuses a URL beyond any that the API has.
 */
export async function securityHeaders(server: FastifyInstance, { publicUrl }: { publicUrl: string }): Promise<void> {
  await server.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives },
    strictTransportSecurity: publicUrl.startsWith('https:') && { maxAge: oneYearSeconds, includeSubDomains: false },
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
  });
  server.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store');
    if (request.url.length > longestUrl) {
      throw refuse('validation_failed', { faults: [{ at: 'url', message: `is longer than ${longestUrl}` }] });
    }
  });
}

/** Pages with a style or script of their own say so themselves. No upgrade of links to TLS: a local start is served in clear. */
const directives = {
  defaultSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
  imgSrc: ["'self'", 'data:'],
  objectSrc: ["'none'"],
  scriptSrcAttr: ["'none'"],
};
