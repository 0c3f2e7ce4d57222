/**
 * What is in the catalogue and no flow of today moves, each with its reason. An entry that does move fails the proof, so that
 * whoever makes the flow takes it out.
 */
export const notYet: Readonly<Record<string, string>> = {
  'jobs_dead_lettered_total{reason="exhausted"}': 'the last attempt of a sale comes three minutes after the first',
  'jobs_dead_lettered_total{reason="invalid"}': 'every payload of the product fits its schema',
  'jobs_dead_lettered_total{reason="unreadable"}': 'nobody else writes to the queues here',
  'jobs_dead_lettered_total{reason="crash_loop"}': 'takes several deaths of a worker in the same job',
  'jobs_dead_lettered_total{reason="stalled"}': 'takes several deaths of a worker in the same job',
  'jobs_dead_lettered_total{reason="orphaned"}': 'takes a job in Redis that Postgres does not know',
  'jobs_dead_lettered_total{reason="lost"}': 'takes five losses of the same job',
  'jobs_dead_lettered_total{reason="unknown_contract"}': 'takes a job of a newer version of the product',
  'jobs_dead_lettered_total{reason="removed"}': 'nobody removes a job here',
  'jobs_dead_lettered_total{reason="start_limit"}': 'takes as many starts as no outage here is long',
  'jobs_dead_lettered_total{reason="parent_failed"}': 'no job has a parent yet',
  'redrive_items_total{outcome="skipped"}': 'takes a letter that changes between the plan of a redrive and its turn',
  requests_refused_total: 'a run of proofs has no limits',
  'requests_refused_total{limit="global"}': 'a run of proofs has no limits',
  'requests_refused_total{limit="address"}': 'a run of proofs has no limits',
  'requests_refused_total{limit="account"}': 'a run of proofs has no limits',
  'requests_refused_total{limit="leads_address"}': 'a run of proofs has no limits',
  'requests_refused_total{limit="register_address"}': 'a run of proofs has no limits',
  'requests_refused_total{limit="register_email"}': 'a run of proofs has no limits',
  'requests_refused_total{limit="leads_email"}': 'a run of proofs has no limits',
  rate_limit_fallbacks_total: 'a run of proofs has no limits',
  'audit_chain_faults_total{kind="anchor_differs"}': 'the next anchor comes an hour after the first',
  dlq_proof_gap: 'takes a death without a letter, which nothing here loses',
  dlq_capture_errors_total: 'no job of the product has evidence that cannot be kept',
  capture_probe_last_success_timestamp_seconds: 'a run of proofs has no probes',
  capture_probe_failures_total: 'takes a death without a letter, which nothing here loses',
  'logs_suppressed_total{reason="serialize"}': 'no event of the product carries what cannot be written',
  'logs_suppressed_total{reason="destination"}': 'takes a full disk behind standard output',
};
