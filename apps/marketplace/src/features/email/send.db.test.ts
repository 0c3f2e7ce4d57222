import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type Database, type Job, type JobOutcome, noFailpoints, sql } from '@fmhl/ops';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeEmail } from '../../testing/email.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { type MailTransport, openEmailHandler, openTransport } from './index.ts';

type Answer = { responseCode: number; message: string } | undefined;

let world: TestWorld;
let server: SMTPServer;
let transport: MailTransport;
let smtpUrl: string;
const received: Email[] = [];
/** What the server says to a recipient, and to the end of the data. */
let toRecipient: (address: string) => Answer;
let toData: () => Answer;

beforeAll(async () => {
  world = await openTestWorld();
  server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    logger: false,
    onRcptTo: ({ address }, _session, done) => done(failure(toRecipient(address))),
    onData: (stream, session, done) => void receive(stream, session, done),
  });
  server.on('error', () => {});
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  smtpUrl = `smtp://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  transport = openTransport(smtpUrl);
});
afterAll(async () => {
  transport.close();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await world.close();
});
beforeEach(() => {
  received.length = 0;
  world.lines.length = 0;
  toRecipient = () => undefined;
  toData = () => undefined;
});

function failure(answer: Answer): Error | undefined {
  return answer && Object.assign(new Error(answer.message), { responseCode: answer.responseCode });
}

async function receive(
  stream: SMTPServerDataStream,
  _session: SMTPServerSession,
  done: (error?: Error | null) => void,
) {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const refusal = failure(toData());
  if (!refusal) received.push(await PostalMime.parse(Buffer.concat(chunks)));
  done(refusal ?? null);
}

type Commit = Job['commit'];
const commits: Commit = (work) => world.db.transaction(work);

function deps(overrides: Partial<Parameters<typeof openEmailHandler>[0]> = {}) {
  const confirmToken = (leadId: string, nonce: number) => `t-${leadId}-${nonce}`;
  const from = 'Find Me a Hot Lead <no-reply@fmhl.example.com>';
  return {
    db: world.db,
    transport,
    log: world.log,
    from,
    failpoint: noFailpoints,
    publicUrl: 'https://fmhl.example.com',
    confirmToken,
    eraseToken: (leadId: string) => `e-${leadId}`,
    userToken: (tokenId: string) => `u-${tokenId}`,
    ...overrides,
  };
}

function send(
  emailId: string,
  { commit = commits, ...overrides }: Partial<ReturnType<typeof deps>> & { commit?: Commit } = {},
): Promise<JobOutcome> {
  return openEmailHandler(deps(overrides))(jobOf(emailId, commit));
}

function jobOf(emailId: string, commit = commits): Job<{ v: 1; email_id: string }> {
  return {
    queue: 'email_send',
    kind: 'send_email',
    payload: { v: 1, email_id: emailId },
    runKey: `email-${emailId}`,
    rootKey: `email-${emailId}`,
    attempt: 1,
    maxAttempts: 8,
    signal: new AbortController().signal,
    commit,
  };
}

/** The database, with each statement that has a name told before it is sent. */
function watched(onStatement: (name: string) => void): Database {
  return Object.create(world.db, {
    query: {
      value: async (statement: Parameters<Database['query']>[0]) => {
        if ('name' in statement) onStatement(statement.name.split(':')[0] ?? '');
        return world.db.query(statement);
      },
    },
  });
}

/** The process ends in place of sending this statement. */
function dyingBefore(name: string): Database {
  return watched((one) => {
    if (one === name) throw new Error('killed');
  });
}

async function read(id: string) {
  const { rows } = await world.db.query(sql`
    select status, attempts, message_id, smtp_code, last_error, sent_at is not null as sent from email where id = ${id}`);
  return rows[0];
}

describe('sending a mail', () => {
  it('happens once: never again after the commit of its end', async () => {
    const { id, to } = await makeEmail(world.db, { template: 'subscriptions_paused', variables: { count: 2 } });
    expect(await send(id)).toEqual({ kind: 'done' });
    const messageId = `<${id}@fmhl.example.com>`;
    expect(await read(id)).toEqual({
      status: 'sent',
      attempts: 1,
      message_id: messageId,
      smtp_code: 250,
      last_error: null,
      sent: true,
    });
    expect(received).toMatchObject([
      { messageId, subject: '2 subscriptions paused: balance too low', to: [{ address: to }] },
    ]);
    expect(await send(id)).toEqual({ kind: 'done' });
    expect(received).toHaveLength(1);
    expect(world.lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: 'email_sent', metadata: { email_id: id, template: 'subscriptions_paused', smtp_code: 250 } },
    ]);
    expect(world.lines.join()).not.toContain(to);
  });

  it('after a crash between the 250 and the commit repeats the same Message-ID', async () => {
    const { id } = await makeEmail(world.db);
    await expect(send(id, { db: dyingBefore('mails_sent') })).rejects.toThrow('killed');
    expect(await read(id)).toMatchObject({ status: 'sending', attempts: 1 });
    expect(await send(id)).toEqual({ kind: 'done' });
    expect(await read(id)).toMatchObject({ status: 'sent', attempts: 2 });
    expect(received.map((mail) => mail.messageId)).toEqual(Array(2).fill(`<${id}@fmhl.example.com>`));
  });

  it('is in state sending, visibly to all, before the server hears of it', async () => {
    const { id } = await makeEmail(world.db);
    const seen: unknown[] = [];
    const watching: MailTransport = {
      send: async (...mail) => {
        seen.push((await read(id))?.status);
        return transport.send(...mail);
      },
      close: () => {},
    };
    await send(id, { transport: watching });
    expect(seen).toEqual(['sending']);
  });

  it('makes the token of a confirmation only then', async () => {
    const lead_id = randomUUID();
    const { id } = await makeEmail(world.db, {
      template: 'lead_confirm',
      variables: { lead_id, nonce: 2, niche_name: 'Roofing' },
    });
    await send(id);
    expect(received[0]?.text).toContain(`https://fmhl.example.com/confirm#token=t-${lead_id}-2`);
    const { rows } = await world.db.query<{ row: string }>(sql`select e::text as row from email e where id = ${id}`);
    expect(rows[0]?.row).not.toContain(`t-${lead_id}`);
  });
});

describe('a mail the server does not take', () => {
  it.each([
    ['a busy server', 451, '4.3.0 try again later'],
    ['greylisting', 450, '4.1.1 later'],
    ['a wrong password', 535, '5.7.8 authentication failed'],
    ['a policy', 550, '5.7.1 blocked'],
  ])('for %s waits, and is sent when the server has recovered', async (_why, responseCode, message) => {
    const { id, to } = await makeEmail(world.db);
    toRecipient = (address) => ({ responseCode, message: `${message} <${address}>` });
    const outcome = await send(id);
    expect(outcome.kind).toBe('retry');
    expect(
      JSON.stringify([outcome, String((outcome as { error?: Error }).error?.stack), await read(id), world.lines]),
    ).not.toContain(to);
    const summary = `${responseCode} ${message.slice(0, 5)}`;
    expect(await read(id)).toMatchObject({
      status: 'queued',
      attempts: 1,
      smtp_code: responseCode,
      last_error: summary,
      sent: false,
    });
    toRecipient = () => undefined;
    expect(await send(id)).toEqual({ kind: 'done' });
    expect(received).toHaveLength(1);
    expect(await read(id)).toMatchObject({ status: 'sent', attempts: 2, last_error: null });
  });

  it('after its data waits too', async () => {
    const { id } = await makeEmail(world.db);
    toData = () => ({ responseCode: 452, message: '4.3.1 disk full' });
    expect((await send(id)).kind).toBe('retry');
    expect(await read(id)).toMatchObject({ status: 'queued', last_error: '452 4.3.1' });
  });

  it('waits while the connection is refused', async () => {
    const { id } = await makeEmail(world.db);
    const nobody = openTransport('smtp://127.0.0.1:1');
    expect((await send(id, { transport: nobody })).kind).toBe('retry');
    nobody.close();
    expect(await read(id)).toMatchObject({ status: 'queued', smtp_code: null, last_error: 'ECONNREFUSED' });
  });

  it('because its mailbox does not exist has failed for good, and its address gets no more', async () => {
    const { id, to } = await makeEmail(world.db, { to: `Gone-${randomUUID()}@Example.com` });
    toRecipient = (address) => ({ responseCode: 550, message: `5.1.1 <${address}> unknown` });
    expect(await send(id)).toEqual({ kind: 'done' });
    expect(await read(id)).toMatchObject({ status: 'failed', smtp_code: 550, last_error: '550 5.1.1', sent: false });
    const { rows } = await world.db.query(
      sql`select reason from email_suppression where address = ${to.toLowerCase()}`,
    );
    expect(rows).toEqual([{ reason: 'mailbox_refused' }]);
    expect(world.lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: 'email_rejected', level: 'warn', metadata: { email_id: id, smtp_code: 550 } },
    ]);
    expect(world.lines.join().toLowerCase()).not.toContain(to.toLowerCase());

    toRecipient = () => undefined;
    const next = await makeEmail(world.db, { to });
    expect(await send(next.id)).toEqual({ kind: 'done' });
    expect(await read(next.id)).toMatchObject({ status: 'suppressed', attempts: 0 });
    expect(await send(id)).toEqual({ kind: 'done' });
    expect(received).toEqual([]);
  });
});

describe('a mail that cannot be written', () => {
  it.each([
    ['its template is unknown', { template: 'no_such' }],
    ['a variable is missing', { template: 'subscriptions_paused', variables: {} }],
    [
      'a variable would break out of the subject',
      { template: 'new_lead', variables: { niche_name: 'a\r\nBcc: x@example.com' } },
    ],
  ])('because %s is buried, and stays to be sent when that is mended', async (_why, mail) => {
    const { id } = await makeEmail(world.db, mail);
    expect((await send(id)).kind).toBe('bury');
    expect(await read(id)).toMatchObject({ status: 'queued', attempts: 0, last_error: 'unwritable' });
    expect(received).toEqual([]);
  });

  it('because its row does not exist is buried', async () => {
    expect((await send(randomUUID())).kind).toBe('bury');
  });
});

describe('a mail that an attempt sent whose run another attempt has taken over', () => {
  it('is sent, and the other attempt does not send it', async () => {
    const { id } = await makeEmail(world.db);
    const fenced: Commit = () => Promise.reject(new Error('fenced'));
    expect(await send(id, { commit: fenced })).toEqual({ kind: 'done' });
    expect(await send(id)).toEqual({ kind: 'done' });
    expect(await read(id)).toMatchObject({ status: 'sent', attempts: 1 });
    expect(received).toHaveLength(1);
  });

  it('stays what it came to be while it was on its way', async () => {
    const { id } = await makeEmail(world.db);
    const erasing: MailTransport = {
      send: async (...mail) => {
        await world.db.query(sql`update email set status = 'suppressed' where id = ${id}`);
        return transport.send(...mail);
      },
      close: () => {},
    };
    expect(await send(id, { transport: erasing })).toEqual({ kind: 'done' });
    expect(await read(id)).toMatchObject({ status: 'suppressed', sent: false });
  });
});

describe('mails of one moment', () => {
  it('share the commits of their claims and of their ends, and each is sent once', async () => {
    const mails = await Promise.all(Array.from({ length: 40 }, () => makeEmail(world.db)));
    const statements: string[] = [];
    const db = watched((name) => statements.push(name));
    const handle = openEmailHandler(deps({ db }));
    const outcomes = await Promise.all(mails.map(({ id }) => handle(jobOf(id))));
    expect(outcomes).toEqual(Array(40).fill({ kind: 'done' }));
    expect(received).toHaveLength(40);
    expect(new Set(received.map(({ messageId }) => messageId))).toEqual(
      new Set(mails.map(({ id }) => `<${id}@fmhl.example.com>`)),
    );
    expect(statements.filter((name) => name === 'claim_mails')).toHaveLength(1);
    expect(statements.filter((name) => name === 'mails_sent').length).toBeLessThan(40);
  });
});
