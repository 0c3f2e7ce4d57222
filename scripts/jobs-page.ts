import { queues } from '../apps/marketplace/src/queues.ts';
import type { QueueDefinition } from '../packages/ops/src/queues/definition.ts';
import type { FailureClass } from '../packages/ops/src/queues/failure.ts';
import { retention } from '../packages/ops/src/queues/retention.ts';
import { causesOfDeath } from '../packages/ops/src/causes/index.ts';
import { afterFailure, type Verdict } from '../packages/ops/src/queues/verdict.ts';
import { code, page, table } from './markdown.ts';

/** The run keys, which are built where the work is decided: all that the definitions of the queues do not hold. */
const keys: Record<string, string> = {
  distribute_lead: '`distribute-<lead>-<sale_no>`',
  email_send: '`email-<email_id>`',
  report_export: '`export-<export_id>` (no work yet)',
  scheduler: '`sch-<schedule>-<unix seconds>` (no work yet)',
};

const classes: Record<FailureClass, string> = {
  permanent: '`PermanentError`, a kind the queue does not have, an outcome `bury`',
  invalid: 'a payload that does not fit the schema of its kind, or that is gone: dead at once',
  transient:
    'everything else that is thrown, an outcome `retry`, a deadline that passed, an attempt that was fenced off',
  conflict: 'deadlock, serialization failure, lock timeout (40P01, 40001, 55P03), after three tries in place',
  infrastructure:
    'Postgres or Redis away, starting, read-only, full or out of connections; the shutdown of the process',
  ambiguous: 'the connection was lost during COMMIT: the run is read again, and is done if that says so',
};

export function jobsPage(): string {
  return page('Jobs', [
    'A job is planned by `enqueue` in the transaction that decides it: one row in `ops.job_run` (the run and its verdict), one in\n`ops.job_outbox`, where it stays while the run is open. The dispatcher hands it to Redis, a worker begins it, and Postgres keeps what became of it.',
    '## Queues',
    queueTable(queues),
    'Waits have ±20 % of jitter; the last one repeats. A second enqueue under the same run key is absorbed, also after the run has ended.',
    '## After a failed attempt',
    classTable(),
    'Infrastructure costs no attempt: the run is put back for 0.5–1.5 s, and the worker fetches nothing until Postgres answers. An outcome\n`snooze` puts the run back for as long as it says, and costs no attempt either.',
    '## Causes of death',
    table(
      ['cause', 'meaning'],
      Object.entries(causesOfDeath).map(([cause, meaning]) => [code(cause), meaning]),
    ),
    `A dead run stays with its dead letter, which holds the exact payload, the error, masked, and the way to the attempts; the job leaves Redis.
Runs that are done are removed after ${retention.runDays} days, dead ones with their letter.`,
    '## What a handler may count on',
    guarantees,
  ]);
}

const guarantees = `- \`job.commit(work)\` makes the effect and the verdict \`done\` one commit. When a newer attempt has started, it throws \`Fenced\` and nothing of it stays.
- Without \`commit\` the verdict is written after the handler returns: a crash in between runs the job again, so the effect must bear a repeat.
- \`job.rootKey\` is the same in every attempt and every later retry of the work: the idempotency key for effects outside of Postgres.
- \`job.signal\` fires at the kind's deadline and at shutdown.
- A run whose process died is offered again after \`JOB_LOCK_MS\`. From then on it is a suspect: each process runs one suspect of a queue at a time.`;

function queueTable(definitions: readonly QueueDefinition[]): string {
  const rows = definitions.flatMap((queue) =>
    Object.entries(queue.kinds).map(([kind, { sideEffect, priority = 0, timeoutMs = 60_000 }]) => [
      [queue.name, ...(queue.aliases ?? [])].map(code).join(', '),
      code(kind),
      runKeyOf(queue),
      String(queue.attempts),
      queue.backoffMs.map(seconds).join(', '),
      seconds(timeoutMs),
      String(priority),
      sideEffect,
    ]),
  );
  return table(['queue, aliases', 'kind', 'run key', 'attempts', 'waits', 'deadline', 'priority', 'a repeat is'], rows);
}

function runKeyOf({ name }: QueueDefinition): string {
  const key = keys[name];
  if (key === undefined) throw new Error(`say in jobs-page.ts what the run keys of queue ${name} are`);
  return key;
}

function classTable(): string {
  const rows = Object.entries(classes).map(([name, meaning]) => {
    const failed = { class: name as FailureClass, type: '', message: '', stack: '', code: null };
    const state = { maxAttempts: 2, lastInRedis: false, backoffMs: [1_000] };
    return [
      code(name),
      meaning,
      word(afterFailure(failed, { ...state, failures: 0 }, 0.5)),
      word(afterFailure(failed, { ...state, failures: 1 }, 0.5)),
    ];
  });
  return table(['class', 'what belongs to it', 'the run', 'at its last attempt'], rows);
}

function word(verdict: Verdict): string {
  if (verdict.kind === 'dead') return `dies: ${code(verdict.cause)}`;
  return verdict.kind === 'retry' ? 'is tried again after its wait' : 'is put back';
}

function seconds(ms: number): string {
  return ms % 60_000 === 0 && ms > 60_000 ? `${ms / 60_000} min` : `${ms / 1_000} s`;
}
