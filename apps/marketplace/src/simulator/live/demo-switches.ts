import type { Runnable } from '@fmhl/ops';
import type { App } from '../../app.ts';
import type { Embedded, MailBehaviour } from '../../embedded/index.ts';
import { type Controlled, openControl } from './control.ts';
import { openMailFates } from './live-lead.ts';

type Part = Runnable & { readonly isOn: boolean };

export interface DemoParts {
  readonly embedded: Embedded;
  readonly worker: Part;
  readonly scheduler: Part;
  /** Where the API is, once it has started. */
  readonly url: () => string;
}

/** The switches of `fmhl demo` in `fmhl up`. Nothing in production, and nothing where mail goes to a server from outside. */
export function openDemoSwitches({ config }: App, { embedded, worker, scheduler, url }: DemoParts): Runnable {
  const { mailbox } = embedded;
  const nothing: Runnable = { name: 'demo', start: async () => {}, stop: async () => {} };
  if (config.nodeEnv === 'production' || !mailbox) return nothing;
  let smtp: string = 'ok';
  let usual: MailBehaviour = 'ok';
  let redis = true;
  const controlled: Controlled = {
    standing: () => ({
      url: url(),
      smtp_url: embedded.smtpUrl,
      deposit_mode: config.depositMode,
      smtp,
      worker: worker.isOn,
      scheduler: scheduler.isOn,
      redis,
    }),
    onMail: (listener) => mailbox.onMail(listener),
    async throwSwitches(given) {
      if (given.smtp) {
        const { mode, slow_ms: slowMs } = given.smtp;
        smtp = mode;
        if (mode === 'lifelike') usual = openMailFates();
        mailbox.behave(mode === 'ok' || mode === 'lifelike' ? usual : mode, slowMs);
      }
      if (given.redis !== undefined) {
        if (!embedded.switchRedis) throw new Error('Redis is not ours to switch: it was given by REDIS_URL');
        await embedded.switchRedis(given.redis);
        redis = given.redis;
      }
      if (given.worker !== undefined) await (given.worker ? worker.start() : worker.stop());
      if (given.scheduler !== undefined) await (given.scheduler ? scheduler.start() : scheduler.stop());
    },
  };
  return { name: 'demo', ...openControl(config.dataDir, controlled) };
}
