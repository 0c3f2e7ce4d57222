import { describe, expect, it } from 'vitest';
import { UnwritableMail } from './letter.ts';
import { renderMail } from './render.ts';
import { type TemplateName, templates, type VariablesOf } from './templates.ts';

const context = {
  publicUrl: 'https://fmhl.example.com',
  confirmToken: (leadId: string, nonce: number) => `token-of-${leadId}-${nonce}`,
  userToken: (tokenId: string, purpose: string) => `${purpose}-token-of-${tokenId}`,
};
const id = '0198c0de-0000-7000-8000-000000000001';

const samples: { [Name in TemplateName]: VariablesOf<Name> } = {
  lead_confirm: { lead_id: id, nonce: 2, niche_name: 'Roofing & <Gutters>' },
  welcome: {},
  account_known: {},
  verify_email: { token_id: id },
  reset_password: { token_id: id, hours: 1, is_new: false },
  password_changed: {},
  mfa_changed: { enabled: false, method: 'passkey' },
  new_lead: { assignment_id: id, niche_name: 'Roofing & <Gutters>', level_name: 'Select', price_cents: 2800 },
  deposit_receipt: { payment_id: id, amount_cents: 10_000, balance_after_cents: 123_456 },
  low_balance: { balance_cents: 1250, threshold_cents: 5000 },
  subscriptions_paused: { count: 1 },
  subscriptions_resumed: { count: 3 },
};

describe('the templates', () => {
  it.each(Object.keys(templates) as TemplateName[])('%s reads as its golden copy', async (name) => {
    const { subject, text, html } = renderMail(name, samples[name], context);
    await expect(`Version: ${templates[name].version}\nSubject: ${subject}\n\n${text}`).toMatchFileSnapshot(
      `golden/${name}.txt`,
    );
    await expect(html).toMatchFileSnapshot(`golden/${name}.html`);
  });

  it('refuse variables that are missing, unknown, or of several lines, without repeating them', () => {
    const render = (variables: unknown) => () => renderMail('new_lead', variables, context);
    expect(render({})).toThrow(UnwritableMail);
    expect(render({ ...samples.new_lead, name: 'Jane Doe' })).toThrow(UnwritableMail);
    expect(render({ ...samples.new_lead, niche_name: 'Roof\r\nBcc: all@example.com' })).toThrow(/niche_name$/);
  });

  it('do not answer to names that are none of them', () => {
    for (const name of ['no_such', 'constructor', '__proto__']) {
      expect(() => renderMail(name, {}, context)).toThrow('unknown mail template');
    }
  });

  it('put the mail someone waits for before all others', () => {
    const urgent = Object.entries(templates).flatMap(([name, template]) => ('urgent' in template ? [name] : []));
    expect(urgent).toEqual(['lead_confirm', 'verify_email', 'reset_password']);
  });
});
