/** Every knob of the simulated market: sizes, shares and shapes. Change one, and the same seed makes another world. */

export type ProfileName = 'S' | 'M' | 'L';

export interface Profile {
  readonly providers: number;
  readonly leads: number;
  /** Of `worldNiches`, from the first; the last of them is the orphan. */
  readonly niches: number;
  /** What went wrong, so that there is something to repair. */
  readonly mishaps: Mishaps;
}

export interface Mishaps {
  /** For so long the mail server answered nothing; its middle lies five days before the end. */
  readonly outageHours: number;
  /** Of the mails to providers in that time, those that never got out. */
  readonly lostShare: number;
  /** Of the deposit receipts of the last two weeks, those that nobody could write. */
  readonly unwritableShare: number;
  /** Of the sales of the last two weeks, those that no attempt could end. */
  readonly deadSaleShare: number;
  /** Jobs that wait for a person, at most. */
  readonly mostDeadJobs: number;
}

/** S for tests and a first look, M to show, L for load. */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  S: {
    providers: 50,
    leads: 300,
    niches: 5,
    mishaps: { outageHours: 20, lostShare: 0.8, unwritableShare: 0.1, deadSaleShare: 0.02, mostDeadJobs: 20 },
  },
  M: {
    providers: 2_000,
    leads: 50_000,
    niches: 12,
    mishaps: { outageHours: 3, lostShare: 0.4, unwritableShare: 0.006, deadSaleShare: 0.001, mostDeadJobs: 250 },
  },
  L: {
    providers: 100_000,
    leads: 1_000_000,
    niches: 12,
    mishaps: { outageHours: 2, lostShare: 0.1, unwritableShare: 0.001, deadSaleShare: 0.0005, mostDeadJobs: 2_000 },
  },
};

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Who sells what where, with how much money. */
export const supply = {
  /** Weight of the niche of rank n: 1 / n ** exponent. */
  nicheExponent: 1,
  /** Share of the subscriptions that the orphan niche has. */
  orphanShare: 0.002,
  /** Mean; at least one each. */
  subscriptionsAProvider: 3.5,
  levelShares: { Exclusive: 0.25, Select: 0.35, Standard: 0.4 },
  /** The rest names a few postal prefixes. */
  areaShares: { national: 0.15, states: 0.35 },
  mostAreas: 4,
  filterShare: 1 / 3,
  dailyCapShare: 0.2,
  dailyCap: { least: 2, most: 20 },
  weightedShare: 0.2,
  pausedByProviderShare: 0.03,
  /** Registered, and never came back to verify their address. */
  unverifiedShare: 0.01,
  balance: { medianCents: 15_000, sigma: 0.8, belowPriceShare: 0.1 },
  lowBalanceShare: 0.6,
  lowBalanceCents: 5_000,
  /** When money runs short; the rest never pays in again. */
  topUpShares: { sameDay: 0.7, withinDays: 0.2 },
  topUp: { medianCents: 25_000, sigma: 0.6, sameDayMs: 8 * hour, withinMs: 3 * day },
  failedPaymentShare: 0.02,
  /** How the gateway's webhooks come. Doubled and out of order are seen live only; a late one is a deposit that waits. */
  webhookShares: { doubled: 0.01, outOfOrder: 0.005, late: 0.002 },
  webhookMs: { median: 4_000, sigma: 0.8, late: 9 * hour },
  goodwillShare: 0.03,
} as const;

/** Who asks for what, when, and what becomes of it. */
export const demand = {
  nicheExponent: 1,
  orphanShare: 0.01,
  /** Weight of each hour of the consumer's day, from midnight. */
  hours: [1, 0.6, 0.4, 0.3, 0.4, 0.8, 2, 4, 7, 9, 10, 10, 9, 9, 9, 9, 9, 9, 10, 10, 9, 7, 4, 2],
  /** From Sunday. */
  weekdays: [0.7, 1.15, 1.1, 1.05, 1, 0.95, 0.75],
  /** Hours differ beyond that by a gamma of mean 1; its variance is 1 / shape. */
  gammaShape: 8,
  /** One of each in ten days, in one niche. */
  bursts: [
    { factor: 5, hours: 3 },
    { factor: 8, hours: 2 },
  ],
  burstEveryDays: 10,
  phoneShare: 0.7,
  testShare: 0.005,
  duplicateShares: { doubleClick: 0.02, samePerson: 0.03, sharedPhone: 0.005 },
  samePersonWithinMs: 20 * day,
  /** Input that is refused, so that history has none: NUL, depth 500, 1 MB, lone surrogates, `__proto__`, CRLF, `=cmd`. */
  badInputShare: 0.04,
  confirm: { share: 0.75, medianMs: 4 * minute, sigma: 1.3 },
  approve: { share: 0.78, ofDuplicates: 0.5, medianMs: 18 * minute, sigma: 1 },
  sale: { medianMs: 150, sigma: 0.5 },
  view: { share: 0.94, medianMs: 12 * minute, sigma: 1.4 },
  /** Of all assignments; those never opened are left undecided. */
  decision: { accepted: 0.7, declined: 0.1, medianMs: 20 * minute, sigma: 1.2 },
  report: { share: 0.08, abusers: 0.03, shareOfAbusers: 0.4, medianMs: 26 * hour, sigma: 0.9, withinMs: 7 * day },
  resolve: { approved: 0.6, approvedOfAbusers: 0.2, medianMs: 20 * hour, sigma: 0.7 },
  badLead: { share: 0.004, medianMs: 2 * day, sigma: 0.6 },
  /** The rest times out, and goes out at a later attempt. */
  mail: { accepted: 0.965, greylisted: 0.015, bounced: 0.012, medianMs: 900, sigma: 0.6 },
} as const;
