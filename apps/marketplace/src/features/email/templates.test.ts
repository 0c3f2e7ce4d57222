import { describe, expect, it } from 'vitest';
import { UnwritableMail } from './letter.ts';
import { renderMail } from './render.ts';
import { samples } from './samples.ts';
import { type TemplateName, templates } from './templates.ts';

const context = {
  publicUrl: 'https://fmhl.example.com',
  confirmToken: (leadId: string, nonce: number) => `token-of-${leadId}-${nonce}`,
  eraseToken: (leadId: string) => `erase-token-of-${leadId}`,
  userToken: (tokenId: string, purpose: string) => `${purpose}-token-of-${tokenId}`,
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

  it('say of a report that was turned down that the charge stands, and name no amount', () => {
    const variables = { ...samples.bad_lead_decided, outcome: 'rejected', amount_cents: 0, balance_after_cents: null };
    const { subject, text } = renderMail('bad_lead_decided', variables, context);
    expect(subject).toBe('Your report of a bad lead');
    expect(text).toContain('the charge stands');
    expect(text).not.toContain('$');
  });

  it('put the mail someone waits for before all others', () => {
    const urgent = Object.entries(templates).flatMap(([name, template]) => ('urgent' in template ? [name] : []));
    expect(urgent).toEqual(['lead_confirm', 'verify_email', 'reset_password']);
  });
});
