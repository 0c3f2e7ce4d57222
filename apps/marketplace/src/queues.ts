import { defineQueue, schedulerQueue } from '@fmhl/ops';
import { z } from 'zod';

const minute = 60_000;
const mailBackoffMs = [10_000, 30_000, 90_000, 270_000, 810_000, 30 * minute];

/** Sells one approved lead. Key: `distribute-<lead>-<sale_no>`. */
export const distributeLeadQueue = defineQueue({
  name: 'distribute_lead',
  aliases: ['distribution'],
  attempts: 5,
  backoffMs: [5_000, 15_000, 45_000, 135_000],
  kinds: {
    distribute_lead: {
      schema: z.strictObject({ v: z.literal(1), lead_id: z.uuid(), sale_no: z.int().min(1) }),
      sideEffect: 'guarded',
      lockedPaths: ['/lead_id', '/sale_no'],
      timeoutMs: 30_000,
    },
  },
});

/** Sends one mail that is written in `email`. Key: `email-<email_id>`. */
export const emailQueue = defineQueue({
  name: 'email_send',
  aliases: ['email'],
  attempts: 8,
  backoffMs: mailBackoffMs,
  kinds: {
    send_email: {
      schema: z.strictObject({ v: z.literal(1), email_id: z.uuid() }),
      sideEffect: 'guarded',
      // Mails that someone waits for (confirmation, verification, reset) are enqueued with priority 0, before these.
      priority: 10,
      timeoutMs: minute,
    },
  },
});

/** Writes one export file. Key: `export-<export_id>`. */
export const reportExportQueue = defineQueue({
  name: 'report_export',
  aliases: ['report-export'],
  attempts: 3,
  backoffMs: [30_000, 2 * minute],
  kinds: {
    export_report: {
      schema: z.strictObject({ v: z.literal(1), export_id: z.uuid() }),
      sideEffect: 'idempotent',
      lockedPaths: ['/export_id'],
      // A million rows over a slow line to the storage.
      timeoutMs: 15 * minute,
    },
  },
});

/** Every queue of the marketplace: the one list that workers, metrics and the API read. The last is that of the runs of `schedules.ts`. */
export const queues = [distributeLeadQueue, emailQueue, reportExportQueue, schedulerQueue] as const;
