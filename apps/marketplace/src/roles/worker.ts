import type { Runnable } from '@fmhl/ops';
import type { App } from '../app.ts';

/** Sells leads and sends mails. */
export function workerRole(app: App, options?: { publicUrl?: string }): Runnable {
  return app.ops.worker(app.handlers(options));
}
