import { idempotencyKeyForm } from '@fmhl/ops';
import { problem } from '@fmhl/ops/contract';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { accessText, secondFactorOf } from './operation-table.ts';

type Transform = typeof jsonSchemaTransform;
type Described = ReturnType<Transform>['schema'];
type Input = Parameters<Transform>[0];
type Config = NonNullable<Input['route']['config']>;

/**
 * What the OpenAPI document says of a route: its schemas, the headers it reads, its refusals, and who may call it (`security`, and in
 * words as `x-access`). A route that names no access is a page or a probe, and no part of the API: it is left out.
 */
export const describeRoute: Transform = (input) => {
  const { route } = input;
  const access = route.config?.access;
  const { schema, ...described } = transform(input);
  if (route.config === undefined || access === undefined) return { ...described, schema: { ...schema, hide: true } };
  const responses = { ...(schema.response as object), ...refusalsOf(input, route.config) };
  const security = access === 'public' ? [] : [{ bearer: [] }];
  const header = idempotencyHeader(route.config);
  return {
    ...described,
    schema: {
      ...schema,
      ...(header && { headers: header }),
      response: responses,
      security,
      'x-access': accessText(access, secondFactorOf(route.config) === 'fresh'),
    } as Described,
  };
};

/** The routes of the operations plane describe themselves in JSON Schema already, which the transform for zod does not take. */
function transform(input: Input): { schema: Described; url: string } {
  const { response = {} } = (input.schema ?? {}) as { response?: Record<string, unknown> };
  const isZod = Object.values(response).every((one) => one instanceof z.ZodType);
  return isZod ? jsonSchemaTransform(input) : { url: input.url, schema: input.schema };
}

function idempotencyHeader({ idempotency }: Config): object | undefined {
  if (idempotency === undefined) return undefined;
  return {
    type: 'object',
    properties: {
      'idempotency-key': {
        type: 'string',
        pattern: idempotencyKeyForm.source,
        description:
          'Runs the operation once per key: a repeat gets the first answer with `Idempotency-Replayed: true`.',
      },
    },
    ...(idempotency === 'required' && { required: ['idempotency-key'] }),
  };
}

const reasons = {
  400: 'The request does not fit its schema.',
  401: 'No session, or one that has ended.',
  403: 'The actor may not do this.',
  404: 'There is no such thing, or it is not visible to the actor.',
  409: 'Not possible in the present state.',
  422: 'The `Idempotency-Key` was used with another body.',
  429: 'Beyond a limit; `Retry-After` says when to come again.',
};

const problemSchema = z.toJSONSchema(problem);
delete problemSchema.$schema;

/** The refusals that follow from what a route asks and does. */
function refusalsOf({ schema, url, route }: Input, { access, idempotency }: Config): Record<string, object> {
  const { body, params, querystring, headers } = (schema ?? {}) as Record<string, unknown>;
  const isOpen = access === 'public';
  const applies: Record<keyof typeof reasons, boolean> = {
    400: Boolean(body ?? params ?? querystring ?? headers) || idempotency !== undefined,
    401: !isOpen || headers !== undefined || url.endsWith('/login'),
    403: !isOpen,
    404: params !== undefined || /\/(confirm|erase)$/.test(url),
    409: route.method !== 'GET',
    422: idempotency !== undefined,
    429: true,
  };
  return Object.fromEntries(
    Object.entries(reasons).flatMap(([status, description]) =>
      applies[Number(status) as keyof typeof reasons] ? [[status, { description, ...problemSchema }]] : [],
    ),
  );
}
