import { z } from 'zod';
import { counted, dollars, type Letter } from './letter.ts';

/** What a template needs beside its variables: links and tokens are made when the mail is sent, never stored. */
export interface MailContext {
  /** Origin of the links, without a slash at its end. */
  readonly publicUrl: string;
  readonly confirmToken: (leadId: string, nonce: number) => string;
  /** The token by which a person has their data removed. */
  readonly eraseToken: (leadId: string) => string;
  /** The token of a link that stands in `identity.user_token`. */
  readonly userToken: (tokenId: string, purpose: 'verify_email' | 'reset_password') => string;
}

interface Template<Variables extends z.ZodObject = z.ZodObject> {
  /** Raised with every change of the text or the variables; each mail records the one it was queued under. */
  readonly version: number;
  /** Someone waits for it: it goes before all others. */
  readonly urgent?: true;
  /** Ids, names of the catalogue, cents. Never personal data, never a token: they are stored with the mail. */
  readonly variables: Variables;
  readonly write: (variables: z.infer<Variables>, context: MailContext) => Letter;
}

function template<Variables extends z.ZodObject>(definition: Template<Variables>): Template<Variables> {
  return definition;
}

/** One line of the catalogue, such as the name of a niche. */
const label = z
  .string()
  .min(1)
  .max(200)
  // oxlint-disable-next-line eslint/no-control-regex -- it may stand in a subject
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'one line');

const lead_confirm = template({
  version: 2,
  urgent: true,
  variables: z.strictObject({ lead_id: z.uuid(), nonce: z.int().min(1), niche_name: label }),
  write: ({ lead_id, nonce, niche_name }, { publicUrl, confirmToken, eraseToken }) => ({
    subject: `Please confirm your request: ${niche_name}`,
    paragraphs: [
      `You asked for offers for ${niche_name}. One click confirms that this address is yours; nobody gets your request before that.`,
      'The link is good for 24 hours. If you did not ask for anything, ignore this mail.',
    ],
    link: { label: 'Confirm my request', url: `${publicUrl}/confirm#token=${confirmToken(lead_id, nonce)}` },
    footnote: { label: 'Remove my data, now or later', url: `${publicUrl}/erase#token=${eraseToken(lead_id)}` },
  }),
});

const welcome = template({
  version: 1,
  variables: z.strictObject({}),
  write: (_variables, { publicUrl }) => ({
    subject: 'Welcome to Find Me a Hot Lead',
    paragraphs: [
      'Your provider account has been created.',
      'Choose the niches and areas you serve, and add funds; leads then arrive in your inbox.',
    ],
    link: { label: 'Open your account', url: `${publicUrl}/` },
  }),
});

const account_known = template({
  version: 1,
  variables: z.strictObject({}),
  write: (_variables, { publicUrl }) => ({
    subject: 'You have an account already',
    paragraphs: [
      'Someone asked for a provider account with this address, which has one. Nothing was changed.',
      'If it was you, sign in with the password you chose; if not, ignore this mail.',
    ],
    link: { label: 'Sign in', url: `${publicUrl}/` },
  }),
});

const verify_email = template({
  version: 1,
  urgent: true,
  variables: z.strictObject({ token_id: z.uuid() }),
  write: ({ token_id }, { publicUrl, userToken }) => ({
    subject: 'Please verify your e-mail address',
    paragraphs: [
      'One click says that this address is yours. Until then your account can look around and change nothing.',
      'The link is good for 24 hours. If you did not ask for an account, ignore this mail.',
    ],
    link: {
      label: 'Verify my address',
      url: `${publicUrl}/verify-email#token=${userToken(token_id, 'verify_email')}`,
    },
  }),
});

const reset_password = template({
  version: 1,
  urgent: true,
  variables: z.strictObject({ token_id: z.uuid(), hours: z.int().min(1), is_new: z.boolean() }),
  write: ({ token_id, hours, is_new }, { publicUrl, userToken }) => ({
    subject: is_new ? 'Choose a password for your new account' : 'Choose a new password',
    paragraphs: [
      is_new
        ? 'An administrator made an account with this address for you. Choose a password to use it.'
        : 'Someone asked for a new password of your account. If it was not you, ignore this mail: nothing has changed.',
      `The link is good for ${counted(hours, 'hour')}, and once.`,
    ],
    link: {
      label: 'Choose a password',
      url: `${publicUrl}/reset-password#token=${userToken(token_id, 'reset_password')}`,
    },
  }),
});

const password_changed = template({
  version: 2,
  variables: z.strictObject({}),
  write: (_variables, { publicUrl }) => ({
    subject: 'Your password was changed',
    paragraphs: [
      'The password of your account was changed, and all its sessions and API tokens were ended.',
      'If it was not you, choose another one at once, and tell us.',
    ],
    link: { label: 'Sign in', url: `${publicUrl}/` },
  }),
});

const mfa_changed = template({
  version: 1,
  variables: z.strictObject({ enabled: z.boolean(), method: z.enum(['totp', 'passkey']) }),
  write: ({ enabled, method }, { publicUrl }) => {
    const what = method === 'passkey' ? 'A passkey' : 'An authenticator app';
    return {
      subject: `${what} was ${enabled ? 'added to' : 'removed from'} your account`,
      paragraphs: [
        `${what} was ${enabled ? 'added to' : 'removed from'} the second factors of your account.`,
        'If it was not you, choose another password at once, and tell us.',
      ],
      link: { label: 'Sign in', url: `${publicUrl}/` },
    };
  },
});

const new_lead = template({
  version: 1,
  variables: z.strictObject({
    assignment_id: z.uuid(),
    niche_name: label,
    level_name: label,
    price_cents: z.int().min(0),
  }),
  write: ({ assignment_id, niche_name, level_name, price_cents }, { publicUrl }) => ({
    subject: `New lead: ${niche_name} (${level_name})`,
    paragraphs: [
      `A new ${niche_name} lead is in your inbox. Level ${level_name}, ${dollars(price_cents)} charged to your balance.`,
    ],
    link: { label: 'Open the lead', url: `${publicUrl}/inbox/${assignment_id}` },
  }),
});

const deposit_receipt = template({
  version: 1,
  variables: z.strictObject({
    payment_id: z.uuid(),
    amount_cents: z.int().min(1),
    balance_after_cents: z.int().min(0),
  }),
  write: ({ payment_id, amount_cents, balance_after_cents }, { publicUrl }) => ({
    subject: `Deposit received: ${dollars(amount_cents)}`,
    paragraphs: [
      `We credited ${dollars(amount_cents)} to your balance, which is now ${dollars(balance_after_cents)}.`,
      `Payment ${payment_id}.`,
    ],
    link: { label: 'See your balance', url: `${publicUrl}/balance` },
  }),
});

const low_balance = template({
  version: 1,
  variables: z.strictObject({ balance_cents: z.int().min(0), threshold_cents: z.int().min(0) }),
  write: ({ balance_cents, threshold_cents }, { publicUrl }) => ({
    subject: `Your balance is low: ${dollars(balance_cents)}`,
    paragraphs: [
      `Your balance fell below ${dollars(threshold_cents)}; it is now ${dollars(balance_cents)}.`,
      'Subscriptions it cannot pay are paused, and resume by themselves when money arrives.',
    ],
    link: { label: 'Add funds', url: `${publicUrl}/balance` },
  }),
});

const subscriptions_paused = template({
  version: 1,
  variables: z.strictObject({ count: z.int().min(1) }),
  write: ({ count }, { publicUrl }) => ({
    subject: `${counted(count, 'subscription')} paused: balance too low`,
    paragraphs: [
      `Your balance does not cover the price of ${counted(count, 'subscription')}, so they are paused.`,
      'They resume by themselves when money arrives.',
    ],
    link: { label: 'Add funds', url: `${publicUrl}/balance` },
  }),
});

const subscriptions_resumed = template({
  version: 1,
  variables: z.strictObject({ count: z.int().min(1) }),
  write: ({ count }, { publicUrl }) => ({
    subject: `${counted(count, 'subscription')} active again`,
    paragraphs: [`Your balance covers ${counted(count, 'subscription')} again; leads arrive from now on.`],
    link: { label: 'See your subscriptions', url: `${publicUrl}/subscriptions` },
  }),
});

const provider_suspended = template({
  version: 1,
  variables: z.strictObject({ closed: z.boolean() }),
  write: ({ closed }, { publicUrl }) => ({
    subject: closed ? 'Your provider account was closed' : 'Your provider account was suspended',
    paragraphs: [
      closed
        ? 'Your provider account was closed, and its subscriptions were cancelled. What is left of your balance stays yours.'
        : 'Your provider account was suspended. It buys no leads for now; your balance and your past leads stay yours.',
      'If you think that is a mistake, answer to us.',
    ],
    link: { label: 'Open your account', url: `${publicUrl}/` },
  }),
});

const bad_lead_decided = template({
  version: 1,
  variables: z.strictObject({
    assignment_id: z.uuid(),
    outcome: z.enum(['approved', 'rejected']),
    amount_cents: z.int().min(0),
    balance_after_cents: z.int().min(0).nullable(),
  }),
  write: ({ assignment_id, outcome, amount_cents, balance_after_cents }, { publicUrl }) => ({
    subject: outcome === 'approved' ? `Lead refunded: ${dollars(amount_cents)}` : 'Your report of a bad lead',
    paragraphs:
      outcome === 'approved'
        ? [
            'We looked at the bad lead you reported, and you are right.',
            `We credited ${dollars(amount_cents)} to your balance, which is now ${dollars(balance_after_cents ?? 0)}.`,
          ]
        : ['We looked at the bad lead you reported, and found nothing that we refund: the charge stands.'],
    link: { label: 'Open the lead', url: `${publicUrl}/inbox/${assignment_id}` },
  }),
});

const lead_refunded = template({
  version: 1,
  variables: z.strictObject({
    assignment_id: z.uuid(),
    amount_cents: z.int().min(1),
    balance_after_cents: z.int().min(0),
  }),
  write: ({ assignment_id, amount_cents, balance_after_cents }, { publicUrl }) => ({
    subject: `Lead refunded: ${dollars(amount_cents)}`,
    paragraphs: [
      'A lead you bought did not hold what it promised. You need not do anything.',
      `We credited ${dollars(amount_cents)} to your balance, which is now ${dollars(balance_after_cents)}.`,
    ],
    link: { label: 'Open the lead', url: `${publicUrl}/inbox/${assignment_id}` },
  }),
});

const export_ready = template({
  version: 1,
  variables: z.strictObject({
    export_id: z.uuid(),
    type: z.enum(['inbox', 'balance', 'leads', 'assignments', 'ledger']),
    rows: z.int().min(0),
    is_own: z.boolean(),
  }),
  write: ({ export_id, type, rows, is_own }, { publicUrl }) => ({
    subject: `Your export is ready: ${type}`,
    paragraphs: [
      `The file that you asked for has ${counted(rows, 'row')}. Sign in to download it within 24 hours; then it is removed.`,
      'If you did not ask for it, tell us.',
    ],
    link: {
      label: 'Download the file',
      url: `${publicUrl}${is_own ? '/exports' : '/admin/exports'}/${export_id}`,
    },
  }),
});

/** Every mail the marketplace sends. */
export const templates = {
  lead_confirm,
  welcome,
  account_known,
  verify_email,
  reset_password,
  password_changed,
  mfa_changed,
  new_lead,
  deposit_receipt,
  low_balance,
  subscriptions_paused,
  subscriptions_resumed,
  bad_lead_decided,
  lead_refunded,
  provider_suspended,
  export_ready,
} as const;

export type TemplateName = keyof typeof templates;
export type VariablesOf<Name extends TemplateName> = z.infer<(typeof templates)[Name]['variables']>;

export function isTemplate(name: string): name is TemplateName {
  return Object.hasOwn(templates, name);
}

/** Whether someone waits for a mail of this template. */
export function isUrgent(name: string): boolean {
  return isTemplate(name) && 'urgent' in templates[name];
}
