import { approvalBacklog } from './approval-backlog.ts';
import { balanceDrift } from './balance-drift.ts';
import { disputeBurst } from './dispute-burst.ts';
import { doubleSubmit } from './double-submit.ts';
import { hotNiche } from './hot-niche.ts';
import { killWorker } from './kill-worker.ts';
import { poison } from './poison.ts';
import { priceMistake } from './price-mistake.ts';
import { priceTooLow } from './price-too-low.ts';
import { reactivationOff } from './reactivation-off.ts';
import { redisDown } from './redis-down.ts';
import { redisFlush } from './redis-flush.ts';
import { rottenSource } from './rotten-source.ts';
import type { Scenario } from './scenario.ts';
import { smtpOutage } from './smtp-outage.ts';
import { smtpSlow } from './smtp-slow.ts';
import { stuckExport } from './stuck-export.ts';
import { webhooksLate } from './webhooks-late.ts';

export type { Scenario } from './scenario.ts';
export { nameOf, type Signal, watchSignals } from './signal.ts';

/** What can go wrong in the demo, in the order in which it is shown. */
export const scenarios: readonly Scenario[] = [
  smtpOutage,
  smtpSlow,
  priceMistake,
  priceTooLow,
  disputeBurst,
  rottenSource,
  doubleSubmit,
  poison,
  stuckExport,
  redisFlush,
  killWorker,
  balanceDrift,
  reactivationOff,
  webhooksLate,
  approvalBacklog,
  hotNiche,
  redisDown,
];
