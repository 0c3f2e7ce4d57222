import { mkdtempSync, readFileSync, rmSync, appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Mailbox, type MailboxOptions, startMailbox } from './index.ts';
import { mailboxRoutes } from '../mailbox-routes.ts';

async function openMailbox(options: MailboxOptions = {}): Promise<Mailbox> {
  const mailbox = await startMailbox(options);
  onTestFinished(() => mailbox.stop());
  return mailbox;
}

async function send({ smtpUrl }: Mailbox, mail: SendMailOptions = {}): Promise<void> {
  const transport = createTransport(smtpUrl);
  await transport.sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 's', text: 't', ...mail });
  transport.close();
}

const link = `https://fmhl.example.com/confirm?token=${'x'.repeat(120)}&lead=1`;

describe('the mailbox', () => {
  it('reads a mail as a mail program would: Unicode, long links, several parts', async () => {
    const mailbox = await openMailbox();
    await send(mailbox, {
      from: 'Zoë <zoe@example.com>',
      to: ['Ann@example.com', 'b@example.com'],
      subject: 'Grüße — your lead № 1 🎉',
      text: `Grüß Gott,\nconfirm: ${link}`,
      html: `<p>Grüß Gott, <a href="${link.replace('&', '&amp;')}">confirm</a></p>`,
      messageId: '<0199-row@fmhl>',
    });
    const [mail] = mailbox.list();
    expect(mail).toMatchObject({
      from: 'zoe@example.com',
      to: 'Ann@example.com, b@example.com',
      subject: 'Grüße — your lead № 1 🎉',
      messageId: '0199-row@fmhl',
    });
    expect(mail?.text.trim()).toBe(`Grüß Gott,\nconfirm: ${link}`);
    expect(mail?.html).toContain(link.replace('&', '&amp;'));
    expect(mailbox.get(mail?.id ?? '')).toEqual(mail);
  });

  it('lists the newest first and by recipient, whatever the case', async () => {
    const mailbox = await openMailbox();
    for (const subject of ['one', 'two']) await send(mailbox, { subject });
    await send(mailbox, { subject: 'three', to: 'other@example.com' });
    expect(mailbox.list().map(({ subject }) => subject)).toEqual(['three', 'two', 'one']);
    expect(mailbox.list({ to: 'B@Example.com' }).map(({ subject }) => subject)).toEqual(['two', 'one']);
    mailbox.clear();
    expect(mailbox.list()).toEqual([]);
  });

  it('turns new connections and open ones away while it refuses, and takes mail again after', async () => {
    const mailbox = await openMailbox();
    const open = createTransport({ pool: true, maxConnections: 1, url: mailbox.smtpUrl });
    const mail = { from: 'a@example.com', to: 'b@example.com', text: 't' };
    await open.sendMail(mail);
    mailbox.behave('refuse');
    await expect(send(mailbox)).rejects.toMatchObject({ responseCode: 421 });
    await expect(open.sendMail(mail)).rejects.toMatchObject({ responseCode: 451 });
    mailbox.behave('ok');
    await send(mailbox);
    open.close();
    expect(mailbox.list()).toHaveLength(2);
  });

  it.each([
    ['later', 451],
    ['bounce', 550],
  ] as const)('answers each recipient as a server does that says %s', async (mode, responseCode) => {
    const mailbox = await openMailbox();
    mailbox.behave((address) => (address === 'b@example.com' ? mode : 'ok'));
    await expect(send(mailbox, { to: 'b@example.com' })).rejects.toMatchObject({ responseCode });
    await send(mailbox, { to: 'c@example.com' });
    expect(mailbox.list().map(({ to }) => to)).toEqual(['c@example.com']);
  });

  it('takes a mail late when it is slow', async () => {
    const mailbox = await openMailbox();
    mailbox.behave('slow', 300);
    const startedAt = performance.now();
    await send(mailbox);
    expect(performance.now() - startedAt).toBeGreaterThan(290);
    expect(mailbox.list()).toHaveLength(1);
  });

  it('tells listeners of each mail before the sender gets its answer', async () => {
    const mailbox = await openMailbox();
    const heard: string[] = [];
    const stopListening = mailbox.onMail(({ subject }) => heard.push(subject));
    await send(mailbox, { subject: 'heard' });
    stopListening();
    await send(mailbox, { subject: 'not heard' });
    expect(heard).toEqual(['heard']);
  });

  it('keeps its mails over a restart, half a line at the end of its file included', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'fmhl-mailbox-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true }));
    const first = await startMailbox({ dataDir });
    await send(first, { subject: 'kept' });
    await first.stop();
    appendFileSync(join(dataDir, 'mailbox.jsonl'), '{"id":"cut o');
    const second = await openMailbox({ dataDir });
    await send(second, { subject: 'newer' });
    expect(second.list().map(({ subject }) => subject)).toEqual(['newer', 'kept']);
    expect(readFileSync(join(dataDir, 'mailbox.jsonl'), 'utf8').trim().split('\n')).toHaveLength(2);
  });
});

describe('the mailbox pages', () => {
  async function openPages() {
    const mailbox = await openMailbox();
    const app = Fastify();
    await app.register(mailboxRoutes(mailbox, ['127.0.0.0/8']));
    return { mailbox, app };
  }

  it('show a mail as text, with its links to follow and nothing of it run', async () => {
    const { mailbox, app } = await openPages();
    await send(mailbox, { subject: '<script>alert(1)</script>', text: `see ${link} <img src=x onerror=alert(2)>` });
    const list = await app.inject('/mailbox');
    expect(list.body).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    const page = await app.inject(`/mailbox/${mailbox.list()[0]?.id}`);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.body).toContain(`<a href="${link.replace('&', '&amp;')}" rel="noreferrer">`);
    expect(page.body).toContain('&lt;img src=x');
    expect(`${list.body}${page.body}`).not.toMatch(/<script|<img/);
  });

  it('give programs the same mails as JSON, by recipient', async () => {
    const { mailbox, app } = await openPages();
    await send(mailbox, { subject: 'hers', to: 'her+tag@example.com' });
    await send(mailbox);
    const answer = await app.inject({ url: '/mailbox.json', query: { to: 'her+tag@example.com' } });
    expect(answer.json()).toMatchObject([{ subject: 'hers', to: 'her+tag@example.com' }]);
    expect((await app.inject('/mailbox.json')).json()).toHaveLength(2);
  });

  it('exist only for the allowed networks, and never through a proxy', async () => {
    const { mailbox, app } = await openPages();
    await send(mailbox);
    const urls = ['/mailbox', '/mailbox.json', `/mailbox/${mailbox.list()[0]?.id}`];
    const strangers = [
      { remoteAddress: '192.0.2.7' },
      { remoteAddress: '127.0.0.1', headers: { 'x-forwarded-for': '127.0.0.1' } },
      { remoteAddress: '127.0.0.1', headers: { 'x-real-ip': '127.0.0.1' } },
      { remoteAddress: '127.0.0.1', headers: { host: 'rebound.example.com:3000' } },
    ];
    for (const url of urls) {
      for (const stranger of strangers) {
        const answer = await app.inject({ url, ...stranger });
        expect([answer.statusCode, answer.json().code]).toEqual([404, 'not_found']);
      }
      expect((await app.inject(url)).statusCode).toBe(200);
    }
  });

  it('answer 404 to a mail that is not there', async () => {
    const { app } = await openPages();
    for (const id of ['nothing', 'x'.repeat(80)]) expect((await app.inject(`/mailbox/${id}`)).statusCode).toBe(404);
  });
});
