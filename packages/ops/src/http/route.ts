import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify';
import { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import type { OpsPermission } from '../permissions/index.ts';
import { refuse } from '../refusals/index.ts';
import type { Authorization } from './access.ts';

/** What a request asks, checked. */
export interface Call<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly actor: Actor;
  readonly authorization: Authorization;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** One request of the admin API: who may send it, what it may say, what it is answered. */
export interface Operation<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the prefix the host chose. */
  readonly url: string;
  readonly permission: OpsPermission;
  /** The mark †: asks for a second factor of the last 15 minutes. */
  readonly fresh?: boolean;
  /** The mark ‡: refuses a write without an `Idempotency-Key`. */
  readonly idempotency?: 'required';
  /** One line, for the reference. */
  readonly summary: string;
  /** A fault here is `bad_id`. */
  readonly params?: Params;
  /** Texts of the query string; unknown names are refused. */
  readonly query?: Query;
  /** A request without a body counts as one with `{}`. */
  readonly body?: Body;
  /** What 200 answers, for the reference; another status of success under `status`. */
  readonly answer: z.ZodType;
  readonly status?: 200 | 201 | 202;
}

const nothing = z.strictObject({});

/** Registers one operation: access, checks and documentation come from its description alone. */
export function operation<
  Params extends z.ZodType = typeof nothing,
  Query extends z.ZodType = typeof nothing,
  Body extends z.ZodType = typeof nothing,
>(
  app: FastifyInstance,
  definition: Operation<Params, Query, Body>,
  handler: (call: Call<z.infer<Params>, z.infer<Query>, z.infer<Body>>) => Promise<unknown>,
): void {
  const { method, url, permission, fresh, idempotency } = definition;
  const { params = nothing, query = nothing, body = nothing } = definition;
  app.route({
    method,
    url,
    config: {
      access: { permission, secondFactor: fresh ? 'fresh' : 'verified' },
      ...(idempotency && { idempotency }),
    },
    schema: describe(definition),
    attachValidation: true,
    // Checked below, by zod itself; these schemas are for the reference.
    validatorCompiler: () => () => true,
    serializerCompiler: () => JSON.stringify,
    handler: async (request, reply) => {
      const { authorization } = request;
      if (!authorization) throw refuse('no_session');
      return handler({
        params: checked(params, request.params ?? {}, 'params') as z.infer<Params>,
        query: checked(query, request.query ?? {}, 'query') as z.infer<Query>,
        body: checked(body, request.body ?? {}, 'body') as z.infer<Body>,
        actor: authorization.actor,
        authorization,
        request,
        reply,
      });
    },
  });
}

/** Parses a part of the request. Refuses with where and why, never with the value: it may be personal. */
function checked(schema: z.ZodType, value: unknown, part: 'params' | 'query' | 'body'): unknown {
  const result = schema.safeParse(value);
  if (!result.success) {
    const faults = result.error.issues
      .slice(0, 20)
      .map((issue) => ({ at: [part, ...issue.path.map(String)].join('.'), message: issue.message }));
    throw refuse(codeOf(part, faults), { faults });
  }
  const at = unstorable(result.data, part);
  if (at === undefined) return result.data;
  throw refuse('validation_failed', { faults: [{ at, message: 'holds NUL or half of a surrogate pair' }] });
}

/** Filters say themselves what is wrong with them, and a patch may write any text into a payload. */
const hasOwnRules: ReadonlySet<string> = new Set(['q', 'filter', 'patch']);

/** Where a text stands that Postgres takes neither as text nor as JSON. */
function unstorable(value: unknown, at: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- that one is looked for
  if (typeof value === 'string') return /[\0\p{Surrogate}]/u.test(value) ? at : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    const found = hasOwnRules.has(key) ? undefined : unstorable(member, `${at}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function codeOf(part: string, faults: readonly { at: string }[]) {
  if (part === 'params') return 'bad_id';
  return faults.every(({ at }) => at === 'body.reason') ? 'reason_required' : 'validation_failed';
}

/** What the host's documentation shows. The plugin that writes it adds these keys to Fastify's type. */
function describe(definition: Operation<z.ZodType, z.ZodType, z.ZodType>): FastifySchema & Record<string, unknown> {
  const { params, query, body, answer, summary, status = 200, method } = definition;
  const input = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return {
    tags: ['operations'],
    summary,
    ...(params && { params: input(params) }),
    ...(query && { querystring: input(query) }),
    ...(body && method !== 'GET' && { body: input(body) }),
    response: { [status]: z.toJSONSchema(answer, { unrepresentable: 'any' }) },
  };
}

/** A whole number in a query string, within bounds; says the bounds when it is refused. */
export function count(least: number, most: number): z.ZodType<number> {
  const form = `must be a whole number from ${least} to ${most}`;
  return z
    .string(form)
    .regex(/^\d{1,9}$/, form)
    .transform(Number)
    .refine((value) => value >= least && value <= most, form);
}

/** The id of a thing in a path. */
export const idParam = z.strictObject({ id: z.uuid('must be a UUID') });

/** Why an operator acts. */
export const reason = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().min(5, 'must have 5 to 500 characters').max(500, 'must have 5 to 500 characters'));
