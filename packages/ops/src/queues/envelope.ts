import { createHash } from 'node:crypto';

/** What travels in Redis as the data of a job: ids and the payload, apart from each other. */
export interface Envelope {
  readonly v: 1;
  readonly run: string;
  readonly root: string;
  readonly meta: {
    readonly correlation_id: string;
    readonly causation_id?: string;
    readonly traceparent?: string;
    /** ISO 8601. */
    readonly enqueued_at: string;
    /** Set on the retry of a dead letter: by one, or by a redrive. */
    readonly retry?: 'retry' | 'redrive';
  };
  /** The payload, or with `ref` its place in `ops.job_payload`. */
  readonly body?: unknown;
  readonly ref?: { readonly sha256: string };
}

/** Largest payload, in bytes of JSON. */
export const maxPayloadBytes = 256 * 1024;
/** Above this the payload stays in Postgres and the job carries its hash. */
export const inlinePayloadBytes = 64 * 1024;
/** Deepest nesting of a payload. */
export const maxPayloadDepth = 32;

/** A payload that cannot be enqueued. Says which limit it breaks. */
export class PayloadRefused extends TypeError {
  override name = 'PayloadRefused';
}

/** JSON of a payload, within the limits of size and depth. */
export function encodePayload(payload: unknown): string {
  const text = JSON.stringify(payload);
  if (text === undefined) throw new PayloadRefused('a payload must be a JSON value');
  const bytes = Buffer.byteLength(text);
  if (bytes > maxPayloadBytes)
    throw new PayloadRefused(`payload of ${bytes} bytes; at most ${maxPayloadBytes} are allowed`);
  const depth = depthOf(text);
  if (depth > maxPayloadDepth)
    throw new PayloadRefused(`payload nests ${depth} deep; at most ${maxPayloadDepth} is allowed`);
  return text;
}

/** Nesting of a JSON text, without building its objects: linear, and safe on any depth. */
export function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < json.length; at += 1) {
    const char = json.charCodeAt(at);
    if (char === 34) at = endOfString(json, at);
    else if (char === 123 || char === 91) deepest = Math.max(deepest, ++depth);
    else if (char === 125 || char === 93) depth -= 1;
  }
  return deepest;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== 34) at += json.charCodeAt(at) === 92 ? 2 : 1;
  return at;
}

/** SHA-256 of a text's UTF-8 bytes, in hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Reads an envelope from a job's data; undefined when it is not one of ours. */
export function readEnvelope(data: unknown): Envelope | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { v, run, root, meta } = data as Partial<Envelope>;
  const whole =
    v === 1 && typeof run === 'string' && typeof root === 'string' && typeof meta?.correlation_id === 'string';
  return whole ? (data as Envelope) : undefined;
}
