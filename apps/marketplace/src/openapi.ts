import type { Access } from '@fmhl/ops';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

type Transform = typeof jsonSchemaTransform;

/**
 * What the OpenAPI document says of a route: its schemas, and who may call it (`security`, and in words as `x-access`).
 * A route that names no access is a page or a probe, and no part of the API: it is left out.
 */
export const describeRoute: Transform = (input) => {
  const described = jsonSchemaTransform(input);
  const access = input.route.config?.access;
  if (access === undefined) return { ...described, schema: { ...described.schema, hide: true } };
  const security = access === 'public' ? [] : [{ bearer: [] }];
  return { ...described, schema: { ...described.schema, security, 'x-access': accessText(access) } };
};

function accessText(access: Access): string {
  if (access === 'public') return 'everybody';
  if (access === 'signed_in') return 'whoever is signed in';
  return `permission \`${access.permission}\`${access.secondFactor === 'fresh' ? ' †' : ''}`;
}
