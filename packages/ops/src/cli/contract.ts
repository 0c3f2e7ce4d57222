import type { z } from 'zod';
import type { annotations, deadLetterGroup, deadLetterGroups } from '../dead-letter-groups/contract.ts';
import type { retryAnswer } from '../dead-letters/contract.ts';
import type { letterAttempt, letterDetail, letterList, letterRow } from '../dead-letter-search/contract.ts';
import type { explanation, jobList, jobRow, jobView, queueDetail, removedJob } from '../queue-control/contract.ts';
import type { queueOverview, queueRow } from '../queues/contract.ts';
import type { redriveDetail, redriveItem, redriveItems, redriveList, redriveSummary } from '../redrives/contract.ts';

/* What the commands read of the answers. */

export type Annotations = z.infer<typeof annotations>;
export type Group = z.infer<typeof deadLetterGroup>;
export type GroupPage = z.infer<typeof deadLetterGroups>;
export type RetryAnswer = z.infer<typeof retryAnswer>;
export type Queue = z.infer<typeof queueRow>;
export type QueuePage = z.infer<typeof queueOverview>;
export type RedriveDetail = z.infer<typeof redriveDetail>;
export type RedriveItem = z.infer<typeof redriveItem>;
export type RedriveItems = z.infer<typeof redriveItems>;
export type RedriveList = z.infer<typeof redriveList>;
export type RedriveSummary = z.infer<typeof redriveSummary>;

export type Letter = z.infer<typeof letterRow>;
export type LetterDetail = z.infer<typeof letterDetail>;
export type LetterAttempt = z.infer<typeof letterAttempt>;
type LetterList = z.infer<typeof letterList>;
/** A list that was asked for by page. */
export type LetterPage = LetterList & { pagination: Extract<LetterList['pagination'], { page: number }> };
export type QueueDetail = z.infer<typeof queueDetail>;
export type QueueJob = z.infer<typeof jobRow>;
export type QueueJobs = z.infer<typeof jobList>;
export type JobDetail = z.infer<typeof jobView>;
export type RemovedJob = z.infer<typeof removedJob>;
export type Explanation = z.infer<typeof explanation>;

type Total = number | null | { readonly value: number | null; readonly previous: number | null };

interface ReportRow {
  readonly queue_name?: string;
  readonly queue?: string;
  readonly name?: string;
  readonly cause?: string;
  readonly title?: string;
  readonly new?: boolean;
  readonly count?: number;
  readonly captured?: number;
}

export interface Report {
  readonly totals: Readonly<Record<string, Total>>;
  readonly by_queue: readonly ReportRow[];
  readonly by_error: readonly ReportRow[];
  readonly by_cause: readonly ReportRow[];
  readonly by_hour: readonly ReportRow[];
  readonly trend: string | { readonly direction?: string; readonly trend?: string };
}

export interface Proof {
  readonly ok: boolean;
  readonly gap: number;
  readonly rows: readonly {
    readonly name: string;
    readonly failed: number;
    readonly captured: number;
    readonly resolved: number;
    readonly discarded: number;
    readonly open: number;
    readonly gap: number;
  }[];
}
