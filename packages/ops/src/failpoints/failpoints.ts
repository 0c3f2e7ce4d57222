import { setTimeout as wait } from 'node:timers/promises';

/** Every place where a test may stop the plane: one at each arrow between two steps. */
export const failpointNames = [
  'dispatch.before_add',
  'dispatch.after_add',
  'worker.before_begin',
  'worker.before_handler',
  // For handlers of a host: between an effect outside and its record.
  'handler.after_effect',
  'worker.before_verdict',
  'worker.inside_commit',
  'worker.before_commit',
  'worker.after_commit',
  'worker.before_death',
  'worker.after_death',
  'reconcile.before_return',
  'sweep.before_forget',
  'schedule.inside_tick',
  'schedule.after_tick',
  'redrive.before_claim',
  'redrive.after_claim',
  'redrive.after_commit',
] as const;

export type FailpointName = (typeof failpointNames)[number];

/** Passes through a named point, at work for `queue` where there is one. Does nothing unless a test armed it. */
export type Failpoint = (name: FailpointName, queue?: string) => Promise<void> | undefined;

/** The failpoint of production: none. */
export const noFailpoints: Failpoint = () => undefined;

/**
 * Arms one point: `name:kill`, `name:throw` or `name:sleep=<ms>`, and with `@n` only at its n-th hit: `worker.before_commit:kill@3`.
 * With a queue, only hits at its work count: `worker.before_commit[distribute_lead]:kill@3`.
 * An empty text arms none. Throws a TypeError that lists the names when the text is wrong.
 */
export function armFailpoint(spec: string | undefined, onHit: (name: string) => void = () => {}): Failpoint {
  if (!spec) return noFailpoints;
  const { name, queue, action, at } = parse(spec);
  let hits = 0;
  return (hit, hitQueue) => {
    if (hit !== name || (queue !== undefined && hitQueue !== queue)) return undefined;
    hits += 1;
    if (at !== undefined && hits !== at) return undefined;
    onHit(name);
    return act(action);
  };
}

function parse(spec: string): { name: string; queue: string | undefined; action: string; at: number | undefined } {
  const match = /^([a-z._]+)(?:\[([\w-]+)\])?:(kill|throw|sleep=\d+)(?:@(\d+))?$/.exec(spec);
  const [, name = '', queue, action = '', at] = match ?? [];
  if (!failpointNames.some((known) => known === name)) {
    throw new TypeError(
      `"${spec}" is not a failpoint; write <name>[queue]:kill|throw|sleep=<ms>@n, where [queue] and @n may be left out, with a name of ${failpointNames.join(', ')}`,
    );
  }
  return { name, queue, action, at: at === undefined ? undefined : Number(at) };
}

async function act(action: string): Promise<void> {
  if (action === 'kill') {
    process.kill(process.pid, 'SIGKILL');
    // The signal is delivered between two turns of the loop; nothing of this process may run in between.
    await new Promise(() => {});
  }
  if (action === 'throw') throw new Error('failpoint');
  await wait(Number(action.slice('sleep='.length)));
}
