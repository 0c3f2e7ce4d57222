/** What the money flow is thought to be, kept beside the product by the test of it. */
export interface Bought {
  readonly id: string;
  readonly leadId: string;
  readonly providerId: string;
  readonly cents: number;
  state: 'unreported' | 'pending' | 'approved' | 'rejected';
}

export interface Outcome {
  readonly status: number;
  readonly code?: string;
  readonly changed?: boolean;
}

const done = (changed: boolean): Outcome => ({ status: 200, changed });
const refused = (status: number, code: string): Outcome => ({ status, code });

/** A market in the head: each act answers what the product should, and `commit` makes it so. */
export class MoneyModel {
  readonly balances = new Map<string, number>();
  readonly bought: Bought[] = [];
  readonly badLeads = new Set<string>();
  readonly reports = new Map<string, number>();
  priceOf = new Map<string, number>();

  add(providerId: string, cents: number): void {
    this.balances.set(providerId, (this.balances.get(providerId) ?? 0) + cents);
  }

  sold(one: Omit<Bought, 'state'>): void {
    this.bought.push({ ...one, state: 'unreported' });
    this.add(one.providerId, -one.cents);
  }

  refund(one: Bought): void {
    one.state = 'approved';
    this.add(one.providerId, one.cents);
  }

  refunded(): string[] {
    return this.bought.flatMap((one) => (one.state === 'approved' ? [one.id] : [])).toSorted();
  }

  report(one: Bought): { expected: Outcome; commit: () => void } {
    const made = this.reports.get(one.providerId) ?? 0;
    if (one.state === 'pending') return { expected: done(false), commit: nothing };
    if (one.state !== 'unreported') return { expected: refused(409, 'already_resolved'), commit: nothing };
    if (made >= 10) return { expected: refused(429, 'rate_limited'), commit: nothing };
    const commit = () => {
      one.state = 'pending';
      this.reports.set(one.providerId, made + 1);
    };
    return { expected: { status: 201, changed: true }, commit };
  }

  decide(one: Bought, to: 'approved' | 'rejected'): { expected: Outcome; commit: () => void } {
    if (one.state === 'unreported') return { expected: refused(404, 'not_found'), commit: nothing };
    if (one.state === to) return { expected: done(false), commit: nothing };
    if (one.state !== 'pending') return { expected: refused(409, 'invalid_state'), commit: nothing };
    return { expected: done(true), commit: to === 'approved' ? () => this.refund(one) : () => (one.state = to) };
  }

  goodwill(one: Bought): { expected: Outcome; commit: () => void } {
    if (one.state === 'approved') return { expected: refused(409, 'already_refunded'), commit: nothing };
    return { expected: { status: 200 }, commit: () => this.refund(one) };
  }

  adjust(providerId: string, cents: number): { expected: Outcome; commit: () => void } {
    const after = (this.balances.get(providerId) ?? 0) + cents;
    if (after < 0) return { expected: refused(409, 'insufficient_balance'), commit: nothing };
    return { expected: { status: 201 }, commit: () => this.add(providerId, cents) };
  }

  /** What marking a lead bad refunds. */
  owedFor(leadId: string): Bought[] {
    if (this.badLeads.has(leadId)) return [];
    return this.bought.filter((one) => one.leadId === leadId && one.state !== 'approved');
  }
}

const nothing = () => {};
