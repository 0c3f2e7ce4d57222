import { type Setting, wholeNumber } from './setting-forms.ts';

/** How often who may ask; 0 for no limit. */
export const requestLimitSettings = {
  requestsGlobal: {
    env: 'RATE_LIMIT_GLOBAL',
    schema: wholeNumber(0, 1_000_000),
    default: '5000',
    describe: 'Requests a second that the whole installation answers; beyond them 429. 0 for no limit.',
  },
  requestsPerAddress: {
    env: 'RATE_LIMIT_ADDRESS',
    schema: wholeNumber(0, 1_000_000),
    default: '1200',
    describe: 'Requests a minute from one IPv4 address, or one /64 of IPv6. 0 for no limit.',
  },
  requestsPerAccount: {
    env: 'RATE_LIMIT_ACCOUNT',
    schema: wholeNumber(0, 1_000_000),
    default: '1200',
    describe: 'Requests a minute by one account, through all its sessions and tokens. 0 for no limit.',
  },
  leadsPerAddress: {
    env: 'RATE_LIMIT_LEADS_ADDRESS',
    schema: wholeNumber(0, 1_000_000),
    default: '120',
    describe: 'Submissions of leads a minute from one address. 0 for no limit.',
  },
  leadsPerEmail: {
    env: 'RATE_LIMIT_LEADS_EMAIL',
    schema: wholeNumber(0, 1_000_000),
    default: '20',
    describe: 'Submissions of leads an hour for one e-mail address. 0 for no limit.',
  },
  registrationsPerAddress: {
    env: 'RATE_LIMIT_REGISTER_ADDRESS',
    schema: wholeNumber(0, 1_000_000),
    default: '10',
    describe: 'Registrations a minute from one address. 0 for no limit.',
  },
  registrationsPerEmail: {
    env: 'RATE_LIMIT_REGISTER_EMAIL',
    schema: wholeNumber(0, 1_000_000),
    default: '5',
    describe: 'Registrations an hour for one e-mail address. 0 for no limit.',
  },
} as const satisfies Record<string, Setting>;
