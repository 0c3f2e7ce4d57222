import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mailbox, startMailbox } from '../../embedded/mailbox.ts';
import { renderMail } from './render.ts';
import { type MailTransport, openTransport } from './transport.ts';

let mailbox: Mailbox;
let transport: MailTransport;

beforeAll(async () => {
  mailbox = await startMailbox();
  transport = openTransport(mailbox.smtpUrl);
});
afterAll(async () => {
  transport.close();
  await mailbox.stop();
});

describe('a mail, opened in a mail program', () => {
  it('shows its subject as written and leads where it should', async () => {
    const leadId = '0198c0de-0000-7000-8000-000000000001';
    const context = {
      publicUrl: 'https://fmhl.example.com',
      confirmToken: () => 'abc_-123',
      eraseToken: () => 'e',
      userToken: () => '',
    };
    const niche_name = 'Dächer & Gärten, "schön" — für Zoë 🏠 '.repeat(3).trim();
    const rendered = renderMail('lead_confirm', { lead_id: leadId, nonce: 1, niche_name }, context);
    const sent = await transport.send({
      ...rendered,
      from: 'Find Me a Hot Lead <no-reply@fmhl.example.com>',
      to: 'zoe@example.com',
      messageId: `<${leadId}@fmhl.example.com>`,
    });
    expect(sent.smtpCode).toBe(250);

    const [mail] = mailbox.list({ to: 'zoe@example.com' });
    expect(mail?.subject).toBe(`Please confirm your request: ${niche_name}`);
    expect(mail?.from).toBe('no-reply@fmhl.example.com');
    expect(mail?.messageId).toBe(`${leadId}@fmhl.example.com`);
    expect(mail?.text).toContain('\nhttps://fmhl.example.com/confirm#token=abc_-123\n');
    expect(mail?.html).toContain('<a href="https://fmhl.example.com/confirm#token=abc_-123">Confirm my request</a>');
    expect(mail?.html).toContain('&quot;schön&quot;');
  });

  it('goes to exactly one address, whatever the address looks like', async () => {
    const message = { subject: 'x', text: 'x', html: 'x', from: 'a@example.com', messageId: '<1@example.com>' };
    const failed = transport.send({ ...message, to: 'one@example.com, two@example.com' });
    await expect(failed).rejects.toThrow();
    expect(mailbox.list({ to: 'two@example.com' })).toEqual([]);
  });
});
