import { normaliseEmail } from '../email-address.ts';
import type { Chronicle } from './chronicle.ts';
import { canPay, type MarketLevel, type MarketNiche, type Provider, type Subscription } from './market.ts';
import type { MoneyHistory } from './money-history.ts';
import { idOf, streamOf } from './random.ts';
import { draftProvider, type ProviderDraft, type SubscriptionDraft } from './supply.ts';
import type { Timeline } from './timeline.ts';

const dayMs = 86_400_000;
const minuteMs = 60_000;

interface ProviderHistoryDeps {
  readonly timeline: Timeline;
  readonly money: MoneyHistory;
  readonly niches: readonly MarketNiche[];
  readonly passwordHash: string;
  /** When the leads begin; most providers were there before. */
  readonly from: number;
}

/** How providers come: an account, the first money, subscriptions. */
export class ProviderHistory {
  readonly all: Provider[] = [];
  readonly #chronicle: Chronicle;
  readonly #deps: ProviderHistoryDeps;

  constructor(chronicle: Chronicle, deps: ProviderHistoryDeps) {
    this.#chronicle = chronicle;
    this.#deps = deps;
  }

  join(index: number): void {
    const { seed, now } = this.#chronicle;
    const { niches, timeline, from } = this.#deps;
    const draft = draftProvider(seed, index, { niches: niches.length });
    const beforeMs = draft.joined >= 0 ? draft.joined * dayMs : draft.joined * (now - from);
    const createdAt = Math.floor(from - beforeMs - streamOf(seed, 'provider.joined', index).between(0, dayMs));
    timeline.plan(createdAt, () => this.#register(draft, createdAt));
  }

  #register(draft: ProviderDraft, createdAt: number): void {
    const { seed, rows } = this.#chronicle;
    const provider: Provider = {
      id: idOf(seed, 'provider', draft.index),
      userId: idOf(seed, 'user', draft.index),
      draft,
      createdAt,
      subscriptions: [],
      balance: 0,
      version: 0,
      lowAlertedAt: null,
      updatedAt: createdAt,
      isPayingIn: false,
    };
    const times = { created_at: createdAt, updated_at: createdAt };
    const { company, email, zone, isVerified, lowBalanceCents } = draft;
    rows.add('identity.users', {
      id: provider.userId,
      email,
      email_norm: normaliseEmail(email),
      password_hash: this.#deps.passwordHash,
      display_name: company,
      role: 'provider',
      email_verified_at: isVerified ? createdAt + minuteMs : null,
      ...times,
    });
    const status = isVerified ? 'active' : 'pending';
    rows.add('provider', { id: provider.id, user_id: provider.userId, company, tz: zone, status, ...times });
    this.#chronicle.mail({
      template: 'welcome',
      variables: {},
      to: email,
      fate: 'accepted',
      dedupeKey: `welcome:${provider.userId}`,
      related: { type: 'user', id: provider.userId },
      at: createdAt,
      correlationId: `welcome-${provider.userId}`,
    });
    if (!isVerified) return;
    rows.add('account', { provider_id: provider.id, low_balance_cents: lowBalanceCents, ...times });
    this.all.push(provider);
    this.#deps.money.open(provider, (at) => {
      this.#deps.timeline.plan(at + minuteMs, () => this.#subscribe(provider, at + minuteMs));
    });
  }

  #subscribe(provider: Provider, at: number): void {
    provider.draft.subscriptions.forEach((draft, nth) => {
      const level = this.#deps.niches[draft.niche]?.levels.find(({ name }) => name === draft.level);
      if (level) this.#subscribeTo(provider, { draft, level, nth, at });
    });
    this.#deps.money.runShort(provider, at);
  }

  #subscribeTo(
    provider: Provider,
    { draft, level, nth, at }: { draft: SubscriptionDraft; level: MarketLevel; nth: number; at: number },
  ): void {
    const status = draft.isPaused ? 'paused_user' : canPay({ provider, level }) ? 'active' : 'paused_funds';
    const subscription: Subscription = {
      id: idOf(this.#chronicle.seed, 'subscription', `${provider.draft.index}.${nth}`),
      provider,
      level,
      draft,
      areas: draft.areas,
      createdAt: at,
      status,
      statusRef: null,
      vt: level.vclock,
      dayKey: null,
      dayN: 0,
      lastServedAt: null,
      updatedAt: at,
      version: 1,
    };
    provider.subscriptions.push(subscription);
    if (status === 'active') level.order.enter(subscription);
    const { rows } = this.#chronicle;
    rows.add('subscription', {
      id: subscription.id,
      provider_id: provider.id,
      level_id: level.id,
      status,
      filter_rules: draft.filter && JSON.stringify(draft.filter),
      weight: draft.weight,
      daily_cap: draft.dailyCap,
      created_at: at,
      updated_at: at,
    });
    for (const area of draft.areas)
      rows.add('subscription_area', { level_id: level.id, area, subscription_id: subscription.id, created_at: at });
  }
}
