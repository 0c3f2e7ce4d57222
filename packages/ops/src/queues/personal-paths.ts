import type { QueueDefinition } from './definition.ts';
import type { QueueRegistry } from './registry.ts';

/** JSON pointers to what the payloads of a kind hold of persons, as its queue declares them. None for kinds nobody knows. */
export function personalPathsOf(registry: QueueRegistry, queue: string, kind: string | null): readonly string[] {
  return pathsOfKind(registry.get(queue), kind);
}

export function pathsOfKind(queue: QueueDefinition | undefined, kind: string | null): readonly string[] {
  if (queue === undefined || kind === null || !Object.hasOwn(queue.kinds, kind)) return [];
  return queue.kinds[kind]?.personalPaths ?? [];
}

/** Whether the value at these steps from the root of a payload is what one of the pointers names. */
export function openPaths(pointers: readonly string[]): (steps: readonly string[]) => boolean {
  const paths = pointers.map(stepsOf);
  return (steps) =>
    paths.some((path) => path.length === steps.length && path.every((step, at) => isSame(step, steps[at])));
}

/** Whether a filter on the value at `steps` would look at, above or below what a kind of some queue declares. */
export function isDeclaredPersonal({ definitions }: QueueRegistry, steps: readonly string[]): boolean {
  const pointers = definitions.flatMap(({ kinds }) => Object.values(kinds).flatMap((kind) => kind.personalPaths ?? []));
  return pointers.some((pointer) => {
    const path = stepsOf(pointer);
    const shared = Math.min(path.length, steps.length);
    return path.slice(0, shared).every((step, at) => isSame(step, steps[at]));
  });
}

function stepsOf(pointer: string): string[] {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function isSame(step: string, actual: string | undefined): boolean {
  return step === '*' || step === actual;
}
