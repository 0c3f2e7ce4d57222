import { randomBytes } from 'node:crypto';
import { noLimits } from '../../bench/servers.ts';
import { readConfig } from '../../apps/marketplace/src/config.ts';
import type { Ground } from '../../apps/marketplace/src/simulator/live/ground.ts';
import { openDemoGround } from '../../apps/marketplace/src/simulator/live/open-demo-ground.ts';
import { temporaryDirectory } from '../harness/directory.ts';
import { fmhl, freePort, launch } from '../harness/product.ts';
import { countMails, type MailCount } from './mails.ts';

/** A product that runs in a process of its own, as `npm start` makes it. */
export interface Demo {
  readonly ground: Ground;
  readonly mails: MailCount;
  /** As it was started, and as commands beside it must be. */
  readonly env: Readonly<Record<string, string>>;
  /** From its start until it was ready. */
  readonly readyMs: number;
  /** All it logged so far. */
  readonly log: string;
  /** Asks it to stop; answers its exit code. */
  stop(): Promise<number>;
  close(): Promise<void>;
}

/** Short times, so that what is lost is missed soon. */
const settings = {
  ...noLimits,
  JOB_LOCK_MS: '1000',
  LEASE_MS: '2000',
  RECONCILE_AFTER_MS: '1500',
  RECONCILE_EVERY_MS: '500',
  PROBE_EVERY_MS: '0',
  DEPOSIT_MODE: 'gateway',
  LOG_SAMPLE_RATE: '1',
};

export async function openDemo(): Promise<Demo> {
  const directory = temporaryDirectory('scenarios');
  const env = {
    ...settings,
    TOKEN_KEY: randomBytes(32).toString('hex'),
    PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
    DATA_DIR: directory.path,
  };
  const product = launch([...fmhl, 'up'], env);
  let ground: Ground | undefined;
  let mails: MailCount | undefined;
  let readyMs = 0;
  const close = async () => {
    mails?.stop();
    await ground?.close();
    await product.killAll();
    directory.remove();
  };
  try {
    readyMs = await product.says('fmhl is ready at');
    ground = await openDemoGround(readConfig(env));
    mails = await countMails(ground);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ground,
    mails,
    env,
    readyMs,
    get log() {
      return product.out;
    },
    stop: async () => (await product.stop('SIGTERM')).code ?? 1,
    close,
  };
}
