import { isPersonalKey } from '../logging/index.ts';
import { emptyFilter, type Filter, FilterError, narrow, parseFilter } from '../filters/index.ts';
import { isDeclaredPersonal, type QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';

/** What a request names a selection by. */
export interface FilterTexts {
  readonly q?: string | undefined;
  /** Queue or alias; one more term. */
  readonly queue?: string | undefined;
  /** `identity` or `identity.dlq`; one more term. */
  readonly stream?: string | undefined;
}

/** Who asks. */
export interface FilterReader {
  /** Whether they may see personal values now, and what they lack. Default `missing_permission`. */
  readonly reveal?: RevealVerdict | undefined;
}

/** Whether a reader may see personal values: allowed, or the refusal of what is lacking. */
export type RevealVerdict = 'allowed' | 'missing_permission' | 'mfa_required' | 'mfa_stale';

/**
 * The filter of a request, with the canonical names of queues. Relative times and `me` stay as they are.
 * Throws refusal `filter_invalid` with where, and what may have been meant; `missing_permission`, `mfa_required` or `mfa_stale` for a payload
 * path that is masked for the reader, who could guess its value from what a filter finds. Their terms on other paths compare no value in
 * which something may be masked.
 */
export function readFilter(
  { q, queue, stream }: FilterTexts,
  registry: QueueRegistry,
  { reveal = 'missing_permission' }: FilterReader,
): Filter {
  let filter = q === undefined ? emptyFilter : parsed(q, registry);
  for (const [field, name] of [
    ['queue', queue && (registry.resolve(queue) ?? queue)],
    ['stream', stream && (stream.endsWith('.dlq') ? stream : `${stream}.dlq`)],
  ] as const) {
    if (name) filter = narrow(filter, { negated: false, field, op: '=', values: [{ is: 'text', text: name }] });
  }
  return reveal === 'allowed' ? filter : forMaskedReader(filter, registry, reveal);
}

function forMaskedReader(
  { terms }: Filter,
  registry: QueueRegistry,
  lacking: Exclude<RevealVerdict, 'allowed'>,
): Filter {
  const term = terms.find(({ path }) => {
    const steps = path?.split('.');
    return steps?.some(isPersonalKey) || (steps && isDeclaredPersonal(registry, steps));
  });
  if (term) throw refuse(lacking, { permission: 'dlq.reveal', field: `payload.${term.path}` });
  return { terms: terms.map((one) => (one.field === 'payload' ? { ...one, underMask: true } : one)) };
}

function parsed(text: string, registry: QueueRegistry): Filter {
  try {
    return parseFilter(text, { queue: (name) => registry.resolve(name) });
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const { at, field, did_you_mean, message } = error;
    throw refuse('filter_invalid', { at, field, did_you_mean, message });
  }
}
