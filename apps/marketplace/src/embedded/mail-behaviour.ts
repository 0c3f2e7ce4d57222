import { setTimeout as wait } from 'node:timers/promises';
import type { SMTPServerAddress, SMTPServerSession } from 'smtp-server';

/** How a mail server treats a mail: as it should, or as servers do on bad days. */
export const mailModes = ['ok', 'refuse', 'slow', 'later', 'bounce'] as const;
/**
 * `refuse` turns connections away with 421 and mails of open ones with 451; `slow` takes each mail after a while; `later` says 451 to
 * a recipient, try again; `bounce` says 550 5.1.1, there is no such mailbox.
 */
export type MailMode = (typeof mailModes)[number];

/** One mode for all, or the mode of each recipient. A connection is only turned away by the first kind. */
export type MailBehaviour = MailMode | ((address: string) => MailMode);

type Done = (error?: Error | null) => void;

/** The part of an SMTP server that decides whom to refuse. */
export interface Manners {
  /** From now on. `slowMs`: how long a slow mail takes, 3,000 by default. */
  behave(behaviour: MailBehaviour, slowMs?: number): void;
  /** What an SMTP server asks at each step. */
  readonly hooks: {
    onConnect(session: SMTPServerSession, done: Done): void;
    onMailFrom(address: SMTPServerAddress, session: SMTPServerSession, done: Done): void;
    onRcptTo(address: SMTPServerAddress, session: SMTPServerSession, done: Done): void;
  };
  /** Waits as long as a mail to these recipients takes. */
  linger(recipients: readonly string[]): Promise<void>;
}

const refusals = {
  refuse: { code: 451, text: 'The mailbox refuses mail for now' },
  later: { code: 451, text: '4.2.1 The mailbox is busy, try again' },
  bounce: { code: 550, text: '5.1.1 There is no such mailbox' },
} as const;

export function openManners(): Manners {
  let behaviour: MailBehaviour = 'ok';
  let slowMs = 3_000;
  const modeFor = (address: string) => (typeof behaviour === 'function' ? behaviour(address) : behaviour);
  return {
    behave(next, nextSlowMs = 3_000) {
      behaviour = next;
      slowMs = nextSlowMs;
    },
    hooks: {
      onConnect: (_session, done) => done(behaviour === 'refuse' ? refusal(421, refusals.refuse.text) : undefined),
      onMailFrom: (_address, _session, done) =>
        done(behaviour === 'refuse' ? refusal(451, refusals.refuse.text) : undefined),
      onRcptTo({ address }, _session, done) {
        const mode = modeFor(address);
        if (mode === 'ok' || mode === 'slow') return done();
        done(refusal(refusals[mode].code, refusals[mode].text));
      },
    },
    async linger(recipients) {
      if (recipients.some((address) => modeFor(address) === 'slow')) await wait(slowMs, undefined, { ref: false });
    },
  };
}

function refusal(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode });
}
