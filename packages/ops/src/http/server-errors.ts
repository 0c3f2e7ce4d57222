import type { FastifyServerOptions } from 'fastify';
import type { Logger } from '../logging/index.ts';
import { type Refusal, refuse } from '../refusals/index.ts';
import { answerError, problemOf } from './problem.ts';

type ServerErrors = Required<
  Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler' | 'return503OnClosing'>
>;

/** How long a caller who cannot be understood may take to read that, in ms. */
const readWithinMs = 1_000;

/**
 * Options for `fastify()` that give the one shape to errors which no error handler sees: a path that cannot be read, what is not
 * HTTP, headers beyond the limit. Nothing of the request is repeated. Requests that arrive during a close are answered, not refused.
 */
export function serverErrors(log: Logger): ServerErrors {
  return {
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply, log),
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
      socket.end(rawAnswer(clientRefusal(error.code)));
      socket.setTimeout(readWithinMs, () => socket.destroy());
    },
  };
}

function clientRefusal(code: string): Refusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuse('request_timeout');
  if (code === 'HPE_HEADER_OVERFLOW') return refuse('headers_too_large');
  return refuse('validation_failed', { faults: [{ at: 'request', message: 'must be HTTP/1.1' }] });
}

function rawAnswer(refusal: Refusal): string {
  const problem = problemOf(refusal);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${refusal.status} ${problem.error}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-correlation-id: ${problem.correlation_id}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
