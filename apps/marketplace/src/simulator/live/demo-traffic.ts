import { type Database, type Queryable, type Runnable, sql } from '@fmhl/ops';
import type { App } from '../../app.ts';
import type { Embedded } from '../../embedded/index.ts';
import { openCaller } from './caller.ts';
import { openLetterBox } from './letter-box.ts';
import { openMailFates } from './live-lead.ts';
import { openPaymentGateway } from './payment-gateway.ts';
import { openPeople } from './people.ts';
import { openTraffic, type Traffic } from './traffic.ts';

const seed = 42;

/** Gentle traffic inside of `fmhl up`, at the speed of life. Its mails fare as those of real people do. */
export function openDemoTraffic(app: App, { embedded, url }: { embedded: Embedded; url: () => string }): Runnable {
  const { mailbox } = embedded;
  let traffic: Traffic | undefined;
  let stopLetters = () => {};
  return {
    name: 'traffic',
    async start() {
      const [secret] = app.billingDeps.webhookSecrets;
      if (!app.config.traffic || traffic) return;
      if (!mailbox || !secret) throw new Error('TRAFFIC: expected false, as SMTP_URL is given');
      mailbox.behave(openMailFates());
      const letters = openLetterBox();
      stopLetters = mailbox.onMail(letters.take);
      const stranger = openCaller(url());
      const { db, log } = app;
      traffic = openTraffic(
        { seed, speed: 1, firstLead: await leadsSoFar(db) },
        {
          url: url(),
          stranger,
          letters,
          people: openPeople({ db, url: url(), log }),
          gateway: openPaymentGateway({ product: stranger, secret }),
          userOf: (providerId) => userOf(db, providerId),
          say: () => {},
        },
      );
      await traffic.start();
    },
    async stop() {
      stopLetters();
      await traffic?.stop();
      traffic = undefined;
    },
  };
}

/** Traffic numbers its leads from here on, so that nobody comes twice with one key. */
export async function leadsSoFar(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ n: number }>(sql`select count(*)::int as n from v_lead`);
  return rows[0]?.n ?? 0;
}

/** The user behind a provider. */
export async function userOf(db: Database, providerId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ user_id: string }>(sql`select user_id from v_provider where id = ${providerId}`);
  return rows[0]?.user_id;
}
