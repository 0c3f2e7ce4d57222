import type { FastifyInstance } from 'fastify';
import { refuse } from '../refusals/index.ts';
import { depthOf } from '../queues/index.ts';

/** Deepest nesting of a request body. */
const deepestBody = 32;

/**
 * Reads JSON bodies: nesting is bounded before anything is built, `__proto__` and `constructor.prototype` are refused,
 * and an empty body counts as none.
 */
export function jsonBody(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString();
    if (text.trim() === '') return done(null, undefined);
    if (depthOf(text) > deepestBody) {
      return done(
        refuse('validation_failed', { faults: [{ at: 'body', message: `nests deeper than ${deepestBody}` }] }),
      );
    }
    return parse(request, text, done);
  });
}
