import type { InjectOptions } from 'fastify';
import { fittingValue, hostileTexts, hostileValue, type JsonSchema } from './hostile-values.ts';
import type { Random } from './random.ts';

/** An operation of an OpenAPI document. */
export interface DescribedOperation {
  readonly method: string;
  /** With `{names}`. */
  readonly path: string;
  readonly parameters: readonly { name: string; in: string; schema?: JsonSchema }[];
  readonly body: JsonSchema | undefined;
}

interface Document {
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: { name: string; in: string; schema?: JsonSchema }[];
        requestBody?: { content: Record<string, { schema: JsonSchema }> };
      }
    >
  >;
}

/** Every operation of an OpenAPI document. */
export function describedOperations(document: unknown): DescribedOperation[] {
  return Object.entries((document as Document).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content['application/json']?.schema,
    })),
  );
}

/** One request for an operation: nearly right, wrong in one place, or nonsense. `ids` are some that exist. */
export function hostileRequest(
  operation: DescribedOperation,
  { random, ids }: { random: Random; ids: readonly string[] },
): InjectOptions & { headers: Record<string, string> } {
  const path = operation.path.replaceAll(/\{\w+\}/g, () => pathPart(random, ids));
  const query = queryOf(operation, random);
  const payload = operation.method === 'GET' ? undefined : bodyOf(operation.body, random);
  return {
    method: operation.method,
    url: query === '' ? path : `${path}?${query}`,
    headers: headersOf(random, payload !== undefined),
    ...(payload !== undefined && { payload }),
  };
}

/** Mostly an id that exists: behind a wrong one little happens. */
function pathPart(random: Random, ids: readonly string[]): string {
  if (random.chance(0.7)) return random.pick(ids);
  if (random.chance(0.2)) return random.pick(['%00', '%ff', '%', '..%2f..', '%ed%a0%80', 'a'.repeat(300)]);
  return encodeURIComponent(random.pick(hostileTexts).toWellFormed());
}

function queryOf({ parameters }: DescribedOperation, random: Random): string {
  const known = parameters.filter(({ in: place }) => place === 'query').filter(() => random.chance(0.5));
  const pairs = known.map(({ name, schema = {} }) => [name, queryValue(schema, random)]);
  if (random.chance(0.05)) pairs.push(['nobody_knows', '1']);
  const twice = known[0];
  if (twice && random.chance(0.1)) pairs.push([twice.name, 'again']);
  return pairs.map(([name = '', value = '']) => `${name}=${encodeURIComponent(value)}`).join('&');
}

function queryValue(schema: JsonSchema, random: Random): string {
  const value = random.chance(0.5) ? fittingValue(schema, random) : random.pick(hostileTexts);
  return String(value).toWellFormed();
}

/** The text of a body. */
function bodyOf(schema: JsonSchema | undefined, random: Random): string {
  const value = schema ? fittingValue(schema, random) : {};
  const style = random.next();
  if (style < 0.35) return JSON.stringify(value);
  if (style < 0.8) return JSON.stringify(broken(value, random));
  if (style < 0.9) return JSON.stringify(hostileValue(random)) ?? '';
  const text = JSON.stringify(value);
  return random.pick([
    text.slice(0, -1),
    `${text}${text}`,
    '['.repeat(10_000),
    '{"a":'.repeat(2_000),
    text.replace(/"?\w+"?(?=[},])/, '1e999'),
    text.replace(/"(\w+)":/, '"$1":1,"$1":'),
    text.replace('{', '{"__proto__":{"a":1},'),
    `\ufeff${text}`,
    '\u0000',
    `{"a":"${'b'.repeat(70_000)}"}`,
    '"\\ud800"',
  ]);
}

/** The value with one place of it made wrong. */
function broken(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random.chance(0.05)) return hostileValue(random);
  if (Array.isArray(value)) {
    const at = random.below(value.length + 1);
    return [...value.slice(0, at), hostileValue(random), ...value.slice(at + 1)];
  }
  const names = Object.keys(value);
  if (names.length === 0 || random.chance(0.15)) return { ...value, [random.pick(hostileTexts)]: 1 };
  const name = random.pick(names);
  return { ...value, [name]: broken((value as Record<string, unknown>)[name], random) };
}

function headersOf(random: Random, hasBody: boolean): Record<string, string> {
  const rarely = (headers: Record<string, string>) => (random.chance(0.05) ? headers : {});
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/json; charset=x',
  ];
  return {
    ...(hasBody && { 'content-type': random.chance(0.95) ? 'application/json' : random.pick(types) }),
    ...(random.chance(0.7) && { 'idempotency-key': `key-${random.below(1_000_000_000)}` }),
    ...rarely({ 'idempotency-key': random.pick(['x', 'a'.repeat(100), '"', "';--"]) }),
    ...rarely({ 'if-none-match': random.pick(['*', 'W/', '"1"', ',,,', 'a'.repeat(2_000)]) }),
    ...rarely({ 'x-correlation-id': random.pick(['short', 'a'.repeat(65), 'fine-correlation-1', "';--"]) }),
    ...rarely({ traceparent: random.pick(['00-x', 'a'.repeat(500)]) }),
    ...rarely({ accept: random.pick(['text/html', 'application/xml', '*/*;q=x']) }),
    ...rarely({ origin: random.pick(['null', 'https://evil.example', 'not an origin']) }),
    ...rarely({ cookie: random.pick(['fmhl_session=x', ';;;=;', '__Host-fmhl_session=%00']) }),
  };
}
