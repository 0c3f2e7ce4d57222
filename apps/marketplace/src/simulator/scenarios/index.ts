import { doubleSubmit } from './double-submit.ts';
import { hotNiche } from './hot-niche.ts';
import { killWorker } from './kill-worker.ts';
import { poison } from './poison.ts';
import { redisDown } from './redis-down.ts';
import { redisFlush } from './redis-flush.ts';
import type { Scenario } from './scenario.ts';
import { smtpOutage } from './smtp-outage.ts';
import { smtpSlow } from './smtp-slow.ts';

export type { Scenario } from './scenario.ts';
export { nameOf, type Signal, watchSignals } from './signal.ts';

/** What can go wrong in the demo, in the order in which it is shown. */
export const scenarios: readonly Scenario[] = [
  smtpOutage,
  smtpSlow,
  doubleSubmit,
  poison,
  redisFlush,
  killWorker,
  hotNiche,
  redisDown,
];
