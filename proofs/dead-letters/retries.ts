import { sql } from '../../packages/ops/src/postgres/index.ts';
import { killUnarmed, openPost, type Post } from './crew.ts';
import { calm } from './attack.ts';
import type { FaultPlan } from './fault-plan.ts';
import type { Field } from './ground.ts';
import { payloadOf, queues, work } from './jobs.ts';

interface OpenLetter {
  readonly id: string;
  readonly marker: string;
  readonly kind: string;
  readonly cause: string;
  readonly state: string;
  readonly sha256: string | null;
}

/** Who is alive while letters are retried: workers whose handlers are mended. */
export interface Menders {
  readonly workers: readonly Post[];
  readonly posts: readonly Post[];
}

/** Letters retried at the same time. */
const lanes = 4;
/** Callers who want the same letter at the same moment. */
const racers = 5;
/** One letter in this many is raced for. */
const raceEvery = 8;

/** Retries every letter over HTTP, whoever dies meanwhile. What no queue accepts any more is discarded. */
export async function retryAll(field: Field, plan: FaultPlan, { workers, posts }: Menders): Promise<void> {
  const letters = plan.random.shuffled(await openLetters(field));
  const kills = strikeDuring(field, plan, { workers, posts });
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let at = next++; at < letters.length; at = next++) {
        const letter = letters[at];
        if (letter) await retryOne(field, letter, { isRaced: at % raceEvery === 0 });
        await kills.passed(at / letters.length);
      }
    }),
  );
  await kills.rest();
}

/** Workers for all queues that retries go to, and the first of each is armed. */
export function assembleMenders({ fleet }: Field, { random }: FaultPlan): Post[] {
  const names = queues.map(({ name }) => name).filter((name) => name !== 'bulk');
  const points = random.shuffled(['before_begin', 'before_handler', 'inside_commit', 'before_commit', 'after_commit']);
  return [0, 1].map((n) =>
    openPost(fleet, 'worker', {
      terms: { queues: names, temper: 'mended' },
      failpoints: [`worker.${points[n]}[${work.name}]:kill@${random.between(1, 4)}`],
    }),
  );
}

async function openLetters({ db }: Field): Promise<OpenLetter[]> {
  const { rows } = await db.query<OpenLetter>(sql`
    select l.id, l.kind, l.cause, l.state, p.sha256,
           substring(coalesce(p.body, encode(p.bytes, 'escape'), l.root_key) from 'm-[a-zA-Z0-9_-]*[a-zA-Z0-9_]') as marker
    from ops.dead_letter_queue l
    left join ops.dead_letter_payload p on p.letter_id = l.id and p.version = l.payload_version
    where l.state in ('pending', 'discarded')`);
  return rows;
}

async function retryOne(field: Field, letter: OpenLetter, { isRaced }: { isRaced: boolean }): Promise<void> {
  const { client, intentions } = field;
  const { id, marker, kind } = letter;
  const path = `/queues/dlq/${id}`;
  if (kind !== 'task') {
    await accepted(client.post(`${path}/discard`, { reason: 'no queue knows its kind' }, `discard-${id}`));
    return intentions.append({ kind: 'discarded', marker, letterId: id });
  }
  if (letter.state === 'discarded') {
    await accepted(client.post(`${path}/restore`, { reason: 'wanted after all' }, `restore-${id}`));
  }
  const body = bodyOf(letter);
  const keys = isRaced ? Array.from({ length: racers }, (_one, n) => `race-${n}-${id}`) : [`retry-${id}`];
  const answers = await Promise.all(keys.map((key) => client.post<{ job_id?: string }>(`${path}/retry`, body, key)));
  const winners = answers.filter(({ status }) => status === 200);
  const jobId = winners[0]?.body.job_id;
  if (jobId === undefined) throw new Error(`${marker} was not retried: ${JSON.stringify(answers)}`);
  intentions.append({ kind: 'retried', marker, letterId: id, jobId });
  if (isRaced) intentions.append({ kind: 'raced', marker, winners: winners.length });
}

/** What can never run as it is gets another payload. */
function bodyOf({ marker, cause, sha256 }: OpenLetter): object {
  if (cause !== 'invalid' && cause !== 'unreadable') return {};
  const value = payloadOf(marker, 'succeed');
  return { reason: 'mended by hand', expected_sha256: sha256, patch: [{ op: 'replace', path: '', value }] };
}

async function accepted(answer: Promise<{ status: number; body: unknown }>): Promise<void> {
  const { status, body } = await answer;
  if (status !== 200) throw new Error(`refused with ${status}: ${JSON.stringify(body)}`);
}

/** Kills a process of each post once, spread over the retries by the seed. */
function strikeDuring({ db }: Field, { random }: FaultPlan, { workers, posts }: Menders) {
  const victims = random.shuffled([...posts, random.pick(workers)]);
  const due = victims.map((post, n) => ({ post, share: (n + 1) / (victims.length + 1) }));
  const strike = async (post: Post) => {
    if (post.role === 'worker') await calm(db);
    await killUnarmed(post);
  };
  return {
    /** Kills those whose share of the letters has been retried. */
    async passed(share: number): Promise<void> {
      for (let next = due[0]; next && next.share <= share; next = due[0]) {
        due.shift();
        await strike(next.post);
      }
    },
    async rest(): Promise<void> {
      for (const { post } of due.splice(0)) await strike(post);
    },
  };
}
