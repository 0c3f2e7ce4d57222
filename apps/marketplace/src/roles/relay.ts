import type { Runnable } from '@fmhl/ops';
import type { App } from '../app.ts';

/** Hands committed jobs to Redis. */
export function relayRole(app: App): Runnable {
  return app.ops.relay();
}
