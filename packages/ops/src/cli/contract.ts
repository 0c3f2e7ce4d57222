import type { z } from 'zod';
import type { annotations, deadLetterGroup, deadLetterGroups } from '../dead-letter-groups/contract.ts';
import type { retryAnswer } from '../dead-letters/contract.ts';
import type { captureProof, deadLetterReport, proofRow, reportFigure } from '../dead-letter-report/contract.ts';
import type { doctorPart, doctorReport, probeResult } from '../doctor/contract.ts';
import type { letterAttempt, letterDetail, letterList, letterRow } from '../dead-letter-search/contract.ts';
import type { explanation, jobList, jobRow, jobView, queueDetail, removedJob } from '../queue-control/contract.ts';
import type { queueOverview, queueRow } from '../queues/contract.ts';
import type { redriveDetail, redriveItem, redriveItems, redriveList, redriveSummary } from '../redrives/contract.ts';
import type {
  caughtUp,
  requestedRun,
  scheduleList,
  scheduleRun,
  scheduleRunList,
  scheduleView,
} from '../schedules/contract.ts';

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
export type Report = z.infer<typeof deadLetterReport>;
export type ReportFigure = z.infer<typeof reportFigure>;
export type Proof = z.infer<typeof captureProof>;
export type ProofRow = z.infer<typeof proofRow>;
export type DoctorPart = z.infer<typeof doctorPart>;
export type DoctorReport = z.infer<typeof doctorReport>;
export type ProbeResult = z.infer<typeof probeResult>;
export type CaughtUp = z.infer<typeof caughtUp>;
export type RequestedRun = z.infer<typeof requestedRun>;
export type Schedule = z.infer<typeof scheduleView>;
export type ScheduleList = z.infer<typeof scheduleList>;
export type ScheduleRun = z.infer<typeof scheduleRun>;
export type ScheduleRuns = z.infer<typeof scheduleRunList>;
