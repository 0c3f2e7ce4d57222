import { nearest } from '../filters/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';

/** The canonical name of a queue or alias. Throws refusal `not_found` with the nearest name and all names. */
export function queueNamed(registry: QueueRegistry, nameOrAlias: string): string {
  const name = registry.resolve(nameOrAlias);
  if (name !== undefined) return name;
  const words = registry.definitions.flatMap(({ name: own, aliases = [] }) => [own, ...aliases]);
  throw refuse('not_found', { queue: { did_you_mean: nearest(nameOrAlias, words) ?? null, queues: registry.names } });
}
