import type { QueueDefinition } from './definition.ts';

/** The one list of queues of an application. */
export interface QueueRegistry {
  readonly names: readonly string[];
  readonly definitions: readonly QueueDefinition[];
  get(name: string): QueueDefinition | undefined;
  /** The canonical name for a name or alias; undefined when nobody registered it. */
  resolve(nameOrAlias: string): string | undefined;
}

/** Throws a TypeError when two queues claim one name. */
export function createRegistry(definitions: readonly QueueDefinition[]): QueueRegistry {
  const canonical = new Map<string, string>();
  for (const { name, aliases = [] } of definitions) {
    for (const word of [name, ...aliases]) {
      if (canonical.has(word)) throw new TypeError(`two queues are called "${word}"`);
      canonical.set(word, name);
    }
  }
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  return {
    names: [...byName.keys()],
    definitions,
    get: (name) => byName.get(name),
    resolve: (nameOrAlias) => canonical.get(nameOrAlias),
  };
}
