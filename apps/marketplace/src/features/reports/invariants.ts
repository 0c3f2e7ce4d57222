import type { Invariant } from '@fmhl/ops';

/** What must always be true of exports. */
export const reportInvariants: readonly Invariant[] = [
  {
    name: 'exports_go_on',
    title: 'An export that is not ready has a run that waits or works; the sweeper ends the others within minutes.',
    enforcedBy: 'the job is planned in the transaction of the request; sweepExports ends what has no run',
    next: 'see whether the sweeper runs, and the dead letter of `export-<id>`',
    sql: `
      select e.id as export_id, e.status from v_export_job e
      where e.status in ('pending', 'processing') and e.created_at < clock_timestamp() - interval '5 minutes'
        and not exists (select from ops.job_run r where r.run_key = 'export-' || e.id and r.state = 'enqueued')
        and not exists (select from ops.job_run r
                        where r.root_key = 'export-' || e.id and r.generation > 0 and r.state = 'enqueued')`,
  },
  {
    name: 'exports_end',
    title: 'The file of an export is gone a day after it was ready.',
    enforcedBy: 'expires_at is written with the verdict; sweepExports removes the file, then its name',
    next: 'see whether the sweeper runs and may remove files: `loop_failed` of the loop `sweeper`',
    sql: `
      select e.id as export_id, e.expires_at from v_export_job e
      where e.storage_key is not null and e.expires_at < clock_timestamp() - interval '10 minutes'`,
  },
  {
    name: 'exports_are_told',
    title: 'Whoever asked for a file gets a mail when it is ready.',
    enforcedBy: 'one transaction for the export, its mail and the verdict of its run',
    sql: `
      select e.id as export_id from v_export_job e
      where e.completed_at > clock_timestamp() - interval '1 day'
        and not exists (select from v_email m where m.dedupe_key = 'export_ready:' || e.id)`,
  },
];
