import type { FastifyInstance } from 'fastify';
import { refuse } from '../refusals/index.ts';
import { depthOf } from '../queues/index.ts';
import { repeatsKey } from './repeated-key.ts';

/** Deepest nesting of a request body. */
const deepestBody = 32;

/**
 * Reads JSON bodies: nesting is bounded before anything is built, `__proto__` and `constructor.prototype` are refused, so is a key that
 * stands twice in one object, and an empty body counts as none.
 */
export function jsonBody(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString();
    if (text.trim() === '') return done(null, undefined);
    if (depthOf(text) > deepestBody) return done(fault(`nests deeper than ${deepestBody}`));
    return parse(request, text, (error, parsed) => {
      if (!error && repeatsKey(text)) return done(fault('names a key twice in one object'));
      return done(error, parsed);
    });
  });
}

function fault(message: string) {
  return refuse('validation_failed', { faults: [{ at: 'body', message }] });
}
