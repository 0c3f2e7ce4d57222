import { type Clock, type ReportName, reportQueries } from './report-contract.ts';

export interface ReportRule {
  /** The clock of who names none; null where there is no choice. */
  readonly clock: Clock | null;
  /** What it may be grouped by, the default first. */
  readonly by: readonly string[];
  /** Longest range. */
  readonly mostDays: number;
  /** The range of who names none. */
  readonly usualDays: number;
}

const usual = { mostDays: 366, usualDays: 30 };

/** What each report takes. Matching leads against filters costs most, so starvation has the shortest range. */
export const reportRules: Readonly<Record<ReportName, ReportRule>> = {
  kpis: { ...usual, clock: 'created', by: reportQueries.kpis.shape.by.unwrap().options },
  funnel: { ...usual, clock: 'created', by: reportQueries.funnel.shape.by.unwrap().options },
  revenue: { ...usual, clock: 'sold', by: reportQueries.revenue.shape.by.unwrap().options },
  coverage: { ...usual, clock: null, by: reportQueries.coverage.shape.by.unwrap().options },
  starvation: { mostDays: 31, usualDays: 7, clock: null, by: [] },
  providers: { ...usual, clock: 'sold', by: [] },
  sources: { ...usual, clock: 'created', by: [] },
  'bad-leads': { ...usual, clock: 'sold', by: reportQueries['bad-leads'].shape.by.unwrap().options },
};
