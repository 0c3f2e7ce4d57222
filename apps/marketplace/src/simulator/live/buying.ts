import { randomUUID } from 'node:crypto';
import { type Random, streamOf } from '../random.ts';
import { demand, supply } from '../shape.ts';
import type { Caller } from './caller.ts';
import { until } from './journeys.ts';
import type { Payment, PaymentGateway } from './payment-gateway.ts';
import type { TrafficCounts, TrafficDeps } from './traffic.ts';

/** What providers do with the leads that they are sold. */
export interface Buying {
  /** Waits for the sale of a lead, and acts for each of its buyers. */
  follow(leadId: string, n: number): Promise<void>;
}

interface BuyingDeps extends Pick<TrafficDeps, 'people' | 'userOf' | 'gateway'> {
  readonly seed: number;
  readonly counts: TrafficCounts;
  /** So long in simulated time. */
  readonly pause: (ms: number) => Promise<void>;
}

interface SoldLead {
  readonly status: string;
  readonly assignments: readonly { readonly id: string; readonly provider_id: string }[];
}

const soldWithinMs = 60_000;

export function openBuying(deps: BuyingDeps): Buying {
  const { people, userOf, seed, counts } = deps;
  return {
    async follow(leadId, n) {
      const isOver = async () => {
        const lead = await people.operator.get<SoldLead>(`/admin/leads/${leadId}`);
        return lead.status === 'approved' ? undefined : lead;
      };
      const lead = await until('the lead is sold or is not', isOver, soldWithinMs);
      if (lead.status !== 'distributed') return;
      counts.sold += 1;
      await Promise.all(
        lead.assignments.map(async ({ id, provider_id }, at) => {
          const userId = await userOf(provider_id);
          if (userId === undefined) return;
          const provider = people.provider(userId);
          const random = streamOf(seed, 'live.buyer', `${n}.${at}`);
          const purse = streamOf(seed, 'live.purse', `${n}.${at}`);
          await Promise.all([
            payIn(provider, purse, deps),
            decide(provider, id, { random, isAbuser: isAbuser(seed, provider_id) }, deps),
          ]);
        }),
      );
    },
  };
}

/** The few who complain of almost everything. */
const isAbuser = (seed: number, providerId: string): boolean =>
  streamOf(seed, 'live.abuser', providerId).chance(demand.report.abusers);

async function decide(
  provider: Caller,
  assignmentId: string,
  { random, isAbuser }: { random: Random; isAbuser: boolean },
  { counts, pause }: BuyingDeps,
): Promise<void> {
  if (!random.chance(demand.view.share)) return;
  await pause(random.logNormal(demand.view.medianMs, demand.view.sigma));
  const path = `/provider/inbox/${assignmentId}`;
  await provider.get(path);
  counts.viewed += 1;
  await pause(random.logNormal(demand.decision.medianMs, demand.decision.sigma));
  const verdict = random.next();
  const { accepted, declined } = demand.decision;
  if (verdict < accepted) {
    await provider.post(`${path}/accept`);
    counts.accepted += 1;
  } else if (verdict < accepted + declined) {
    await provider.post(`${path}/decline`, { reason: 'Too far away' });
    counts.declined += 1;
  }
  const { share, shareOfAbusers } = demand.report;
  if (!random.chance(isAbuser ? shareOfAbusers : share)) return;
  // By the next day; nobody waits that long for a demo.
  await pause(random.logNormal(demand.view.medianMs, demand.view.sigma));
  const reason = random.pick(['spam', 'unreachable', 'out_of_scope']);
  const answer = await provider.ask('POST', `${path}/report`, { body: { reason, notes: 'Nobody answers' } });
  if (answer.status < 300) counts.reported += 1;
}

/** Money runs short at twice the price of a lead; most pay in the same day, some later, some never again. */
async function payIn(provider: Caller, random: Random, deps: BuyingDeps): Promise<void> {
  const { balance_cents } = await provider.get<{ balance_cents: number }>('/provider/balance');
  const { topUp, topUpShares } = supply;
  if (balance_cents >= 2 * 6_000) return;
  const when = random.next();
  if (when > topUpShares.sameDay + topUpShares.withinDays) return;
  // Hours of a day, in the minutes of a demo.
  await deps.pause(random.exponential(when < topUpShares.sameDay ? 600_000 : 3_600_000));
  const amount = Math.min(1_000_000, Math.max(1_000, Math.round(random.logNormal(topUp.medianCents, topUp.sigma))));
  const { body } = await provider.post<{ payment: Payment & { status: string } }>(
    '/provider/deposits',
    { amount_cents: amount },
    randomUUID(),
  );
  deps.counts.deposits += 1;
  if (body.payment.status === 'pending') await settle(body.payment, random, deps);
}

/** As gateways do: now and then twice, in the wrong order, or hours later. */
async function settle(payment: Payment, random: Random, deps: BuyingDeps): Promise<void> {
  const { gateway, pause } = deps;
  const { doubled, outOfOrder, late } = supply.webhookShares;
  await pause(random.logNormal(supply.webhookMs.median, supply.webhookMs.sigma));
  const how = random.next();
  if (how < late) await pause(600_000);
  const isFailed = random.chance(supply.failedPaymentShare);
  await report(gateway, payment, isFailed ? 'failed' : 'succeeded');
  if (how < late + doubled) await report(gateway, payment, isFailed ? 'failed' : 'succeeded');
  else if (how < late + doubled + outOfOrder) await report(gateway, payment, 'pending');
}

async function report(gateway: PaymentGateway, payment: Payment, status: 'succeeded' | 'failed' | 'pending') {
  const answer = await gateway.report(payment, { status });
  if (answer.status >= 500) throw new Error(`the gateway was answered with ${answer.status}`);
}
