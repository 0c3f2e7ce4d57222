import { randomUUID } from 'node:crypto';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../logging/index.ts';
import { databaseFailure } from '../postgres/index.ts';
import { Refusal, refuse, statusTexts } from '../refusals/index.ts';

/** Status of a request whose caller hung up before the answer: nobody reads it, but metrics and logs count it. */
export const callerGone = 499;

/** Answers any thrown value in the one shape: `{ error, code, correlation_id, details? }`. Only faults of ours are logged. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  const refusal = asRefusal(thrown, request);
  if (refusal.status >= 500) {
    log.error('http_error', thrown, { method: request.method, route: request.routeOptions.url ?? 'unmatched' });
  }
  const retryAfter = refusal.details?.retry_after_s ?? (refusal.status === 503 ? 5 : undefined);
  if (typeof retryAfter === 'number') reply.header('retry-after', String(retryAfter));
  const problem = problemOf(refusal, request.running?.current.correlationId);
  return reply
    .code(refusal.status)
    .header('x-correlation-id', problem.correlation_id)
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(problem);
}

/** The one shape of errors. */
export function problemOf({ status, code, details }: Refusal, correlationId: string = randomUUID()) {
  return { error: statusTexts[status] ?? 'Error', code, correlation_id: correlationId, ...(details && { details }) };
}

function asRefusal(thrown: unknown, request: FastifyRequest): Refusal {
  if (thrown instanceof Refusal) return thrown;
  // Half a body ends in ECONNRESET, which is no fault of ours.
  if (request.raw.aborted) return new Refusal('caller_gone', callerGone);
  if (databaseFailure(thrown) !== undefined) return refuse('database_unavailable');
  return fromFastify(thrown as FastifyError, request) ?? refuse('internal');
}

/** Fastify's and the validator's own errors, by their codes. */
function fromFastify(error: FastifyError, request: FastifyRequest): Refusal | undefined {
  if (error.validation) {
    const code = error.validationContext === 'params' ? 'bad_id' : 'validation_failed';
    return refuse(code, { faults: faultsOf(error) });
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return refuse('too_large', { limit_bytes: request.routeOptions.bodyLimit });
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return refuse('media_type');
  if (error.code === 'FST_ERR_BAD_URL' || error.code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return refuse('validation_failed', { faults: [{ at: 'path', message: 'is not a path of this API' }] });
  }
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500)
    return refuse('validation_failed', { faults: [{ at: 'body', message: 'must be JSON' }] });
  return undefined;
}

/** Where and why, never what: the refused value may be personal. */
function faultsOf(error: FastifyError): { at: string; message: string }[] {
  return (error.validation ?? []).slice(0, 20).map((fault) => ({
    at: [error.validationContext, fault.instancePath.replaceAll('/', '.').replace(/^\./, '')].filter(Boolean).join('.'),
    message: fault.message ?? 'is invalid',
  }));
}
