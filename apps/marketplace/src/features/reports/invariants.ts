/** A read-only query that answers the rows which break an invariant: none, ever. */
export interface Probe {
  readonly name: string;
  readonly sql: string;
}

/** What must always be true of exports. Safe to run at any time. */
export const reportProbes: readonly Probe[] = [
  {
    // An open export is somebody's work: a run waits or works, or a dead letter is open for it. The sweeper ends others within minutes.
    name: 'R1',
    sql: `
      select e.id as export_id from v_export_job e
      where e.status in ('pending', 'processing') and e.created_at < clock_timestamp() - interval '5 minutes'
        and not exists (select from ops.job_run r where r.run_key = 'export-' || e.id and r.state = 'enqueued')
        and not exists (select from ops.job_run r
                        where r.root_key = 'export-' || e.id and r.generation > 0 and r.state = 'enqueued')`,
  },
  {
    // No file outlives its day by more than the sweeper needs to come by.
    name: 'R2',
    sql: `
      select id as export_id from v_export_job
      where storage_key is not null and expires_at < clock_timestamp() - interval '10 minutes'`,
  },
  {
    // Whoever was promised a file gets a mail about it.
    name: 'R3',
    sql: `
      select e.id as export_id from v_export_job e
      where e.completed_at > clock_timestamp() - interval '1 day'
        and not exists (select from v_email m where m.dedupe_key = 'export_ready:' || e.id)`,
  },
];
