import { isPersonalKey } from '../logging/index.ts';
import { emptyFilter, type Filter, FilterError, narrow, parseFilter } from '../filters/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
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
  /** Whether they have `dlq.reveal`. Default: no. */
  readonly reveals?: boolean | undefined;
}

/**
 * The filter of a request, with the canonical names of queues. Relative times and `me` stay as they are.
 * Throws refusal `filter_invalid` with where, and what may have been meant; `missing_permission` for a payload path that is masked for the
 * reader, who could guess its value from what a filter finds.
 */
export function readFilter(
  { q, queue, stream }: FilterTexts,
  registry: QueueRegistry,
  { reveals = false }: FilterReader,
): Filter {
  let filter = q === undefined ? emptyFilter : parsed(q, registry);
  for (const [field, name] of [
    ['queue', queue && (registry.resolve(queue) ?? queue)],
    ['stream', stream && (stream.endsWith('.dlq') ? stream : `${stream}.dlq`)],
  ] as const) {
    if (name) filter = narrow(filter, { negated: false, field, op: '=', values: [{ is: 'text', text: name }] });
  }
  if (!reveals) refusePersonal(filter);
  return filter;
}

function refusePersonal({ terms }: Filter): void {
  const term = terms.find(({ path }) => path?.split('.').some(isPersonalKey));
  if (term) throw refuse('missing_permission', { permission: 'dlq.reveal', field: `payload.${term.path}` });
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
