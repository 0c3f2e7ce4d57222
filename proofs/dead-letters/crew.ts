import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import type { Fleet, Member, Role } from '../harness/fleet.ts';
import type { Temper } from './handler.ts';

export type Queues = readonly string[];

/** What a worker is to do. */
export interface WorkerTerms {
  readonly queues: Queues;
  readonly temper: Temper;
  readonly concurrency?: number;
}

/** A place that one process holds at a time; a successor follows each that dies. */
export interface Post {
  readonly role: Role;
  readonly present: Member;
  /** Kills who holds it; a successor follows. Answers when that one works. */
  kill(): Promise<void>;
  /** Kills who holds it; nobody follows. */
  close(): Promise<void>;
}

/** Opens a post. Who holds it is armed with the first of the failpoints, its successor with the next, and so on. */
export function openPost(
  fleet: Fleet,
  role: Role,
  { terms, failpoints = [] }: { terms?: WorkerTerms; failpoints?: readonly string[] } = {},
): Post {
  const armed = [...failpoints];
  const also = terms ? settingsOf(terms) : {};
  let isOpen = true;
  const follow = (): Member => {
    const member = fleet.start(role, armed.shift(), also);
    void member.ended.then(() => {
      if (isOpen && !fleet.isEnding) present = follow();
    });
    return member;
  };
  let present = follow();
  return {
    role,
    get present() {
      return present;
    },
    async kill() {
      const victim = present;
      await victim.ready.catch(() => {});
      victim.kill();
      await victim.ended;
      await present.ready.catch(() => {});
    },
    async close() {
      isOpen = false;
      present.kill();
      await present.ended;
    },
  };
}

const hitWithinMs = 60_000;

/** Kills who holds a post once the armed ones before have died of their own work. */
export async function killUnarmed(post: Post): Promise<void> {
  await pollUntil(() => post.present.failpoint === undefined, { deadlineMs: hitWithinMs }).catch(() => {});
  await post.kill();
}

export function settingsOf({ queues, temper, concurrency = 4 }: WorkerTerms): Record<string, string> {
  return { QUEUES: queues.join(','), TEMPER: temper, CONCURRENCY: String(concurrency) };
}

/** Deaths by SIGKILL of one role, of those that were to die and of those that a job killed. */
export function deathsOf({ members }: Fleet, role: Role): number {
  return members.filter((one) => one.role === role && one.end?.signal === 'SIGKILL').length;
}

/** Failpoints that were armed and did not kill. */
export function missedOf({ members }: Fleet): string[] {
  return members.flatMap(({ failpoint, hit }) => (failpoint !== undefined && !hit ? [failpoint] : []));
}
