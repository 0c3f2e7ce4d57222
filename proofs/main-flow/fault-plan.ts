import { type Random, randomOf } from '../harness/random.ts';

/** One thing that happens while leads are being approved. A failpoint kills the worker that was started with it. */
export type Step = { readonly kill: string } | 'flush' | 'race';

/** What one seed does to the system. */
export interface FaultPlan {
  readonly seed: number;
  /** Further numbers of the seed: names, amounts, which lead is next. */
  readonly random: Random;
  /** Kills a worker between the mail server's 250 and our commit, or between that and the job's verdict, while the confirmation mails go out. */
  readonly mailDeath: string;
  /** Deaths of a worker before, inside and after the transaction of a sale, the loss of Redis, and the race, in their order. */
  readonly steps: readonly Step[];
  readonly relayDeath: string;
  /** Undefined: the scheduler is killed with the flush, wherever it is. */
  readonly schedulerDeath: string | undefined;
  /** All workers are killed before the flush, so that Redis loses jobs that wait. */
  readonly flushWithoutWorkers: boolean;
  /** Leads of the niche where everybody finds a buyer. */
  readonly fundedLeads: number;
  /** Leads of the niche whose one provider can pay for `scarcePlaces`. */
  readonly scarceLeads: number;
  readonly scarcePlaces: number;
}

/** Works out the plan of a seed: the same seed, the same plan. */
export function planFaults(seed: number): FaultPlan {
  const random = randomOf(seed);
  const inside = random.pick(['worker.inside_commit', 'worker.before_commit']);
  const kills = ['worker.before_handler', inside, 'worker.after_commit'].map((point) => ({
    kill: `${point}[distribute_lead]:kill@${random.between(1, 3)}`,
  }));
  const mailPoint = random.pick(['handler.after_effect', 'worker.before_verdict']);
  const relayPoint = random.pick(['dispatch.before_add', 'dispatch.after_add']);
  return {
    seed,
    mailDeath: `${mailPoint}[email_send]:kill@${random.between(1, 5)}`,
    steps: random.shuffled<Step>([...kills, 'flush', 'race']),
    relayDeath: `${relayPoint}:kill@${random.between(1, 5)}`,
    schedulerDeath: random.pick(['reconcile.before_return:kill', undefined]),
    flushWithoutWorkers: random.pick([true, false]),
    fundedLeads: random.between(34, 40),
    scarceLeads: random.between(6, 9),
    scarcePlaces: random.between(2, 4),
    random: randomOf(-seed),
  };
}
