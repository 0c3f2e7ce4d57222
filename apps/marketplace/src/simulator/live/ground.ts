import { connectRedis, type Database, openDatabase } from '@fmhl/ops';
import type { Mail } from '../../embedded/index.ts';
import type { Log } from '../../log.ts';
import { type Caller, openCaller } from './caller.ts';
import type { Control } from './control-client.ts';
import { type LetterBox, openLetterBox } from './letter-box.ts';
import { openPaymentGateway, type PaymentGateway } from './payment-gateway.ts';
import { openPeople, type People } from './people.ts';

export interface GroundOptions {
  readonly control: Control;
  /** With the rights of the owner: faults are made that no API makes. */
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly tokenKey: string;
  readonly webhookSecret: string;
  readonly log: Log;
}

/** A running demo, and everybody around it: what traffic and scenarios work with. */
export interface Ground extends GroundOptions {
  readonly url: string;
  readonly depositMode: string;
  readonly stranger: Caller;
  readonly people: People;
  readonly operator: Caller;
  readonly db: Database;
  readonly redis: ReturnType<typeof connectRedis>;
  readonly gateway: PaymentGateway;
  readonly letters: LetterBox;
  close(): Promise<void>;
}

export async function openGround(options: GroundOptions): Promise<Ground> {
  const { control, databaseUrl, redisUrl, webhookSecret, log } = options;
  const { url, deposit_mode: depositMode } = await control.standing();
  const db = openDatabase({ url: databaseUrl, poolSize: 4, applicationName: 'fmhl-simulator' });
  const redis = connectRedis({ url: redisUrl, connectionName: 'fmhl-simulator' });
  // Taking Redis away is one of the scenarios.
  redis.on('error', () => {});
  const stranger = openCaller(url);
  const people = openPeople({ db, url, log });
  const letters = openLetterBox();
  const stopLetters = await control.onMail(letters.take);
  for (const mail of await readMailbox(url)) letters.take(mail);
  return {
    ...options,
    url,
    depositMode,
    stranger,
    people,
    operator: people.operator,
    db,
    redis,
    gateway: openPaymentGateway({ product: stranger, secret: webhookSecret }),
    letters,
    async close() {
      stopLetters();
      redis.disconnect();
      await db.close();
    },
  };
}

/** What came before anybody listened, oldest first: a scenario may be started by one command and remedied by another. */
async function readMailbox(url: string): Promise<Mail[]> {
  const response = await fetch(`${url}/mailbox.json`);
  if (!response.ok) throw new Error(`the mailbox answered ${response.status}`);
  return ((await response.json()) as Mail[]).toReversed();
}
