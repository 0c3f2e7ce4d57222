import { type Runnable, together } from '@fmhl/ops';
import type { App } from '../app.ts';

/** Repairs what Postgres and Redis disagree on, removes old rows, and ends what nobody ends. */
export function schedulerRole(app: App): Runnable {
  return together('scheduler', [app.ops.scheduler(), app.sweeper()]);
}
