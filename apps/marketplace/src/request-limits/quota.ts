import type { Config } from '../config.ts';

export const quotaNames = [
  'global',
  'address',
  'account',
  'leads_address',
  'leads_email',
  'register_address',
  'register_email',
] as const;
export type QuotaName = (typeof quotaNames)[number];

/** How often something may be done within a window; `limit` 0 is no limit. */
export interface Quota {
  readonly name: QuotaName;
  readonly limit: number;
  readonly windowMs: number;
}

export type Quotas = Readonly<Record<QuotaName, Quota>>;

type Limits = Pick<
  Config,
  | 'requestsGlobal'
  | 'requestsPerAddress'
  | 'requestsPerAccount'
  | 'leadsPerAddress'
  | 'leadsPerEmail'
  | 'registrationsPerAddress'
  | 'registrationsPerEmail'
>;

const second = 1_000;
const minute = 60 * second;

export function quotasOf(config: Limits): Quotas {
  return {
    global: { name: 'global', limit: config.requestsGlobal, windowMs: second },
    address: { name: 'address', limit: config.requestsPerAddress, windowMs: minute },
    account: { name: 'account', limit: config.requestsPerAccount, windowMs: minute },
    leads_address: { name: 'leads_address', limit: config.leadsPerAddress, windowMs: minute },
    leads_email: { name: 'leads_email', limit: config.leadsPerEmail, windowMs: 60 * minute },
    register_address: { name: 'register_address', limit: config.registrationsPerAddress, windowMs: minute },
    register_email: { name: 'register_email', limit: config.registrationsPerEmail, windowMs: 60 * minute },
  };
}
