/** Every permission the operations plane asks for, and what its holder may do. */
export const opsPermissions = {
  'queue.read': 'See queues and their jobs, and why they wait.',
  'queue.control': 'Pause a queue and let it go on.',
  'job.control': 'Promote and remove single jobs, and have the capture of deaths repaired now.',
  'dlq.read': 'See dead letters with personal values masked, their groups and reports, and redrives.',
  'dlq.retry': 'Run a dead letter again.',
  'dlq.resolve': 'Close a dead letter whose work is done or not needed, and open a closed one again.',
  'dlq.annotate': 'Write notes, assign, link tickets, snooze, share a view, and say what fixed a group.',
  'dlq.reveal': 'See personal values of payloads in clear, and filter by them; asks for a fresh second factor.',
  'dlq.discard': 'Close a dead letter whose work will not be done.',
  'dlq.edit': 'Retry with another payload or to another queue, and group letters anew.',
  'dlq.export': 'Download dead letters as CSV or NDJSON.',
  'redrive.plan': 'Plan a redrive, which changes nothing yet.',
  'redrive.run': 'Start, pause, stop and end redrives.',
  'redrive.approve': "Let another person's large or unsafe redrive be started.",
  'schedule.read': 'See schedules and their runs.',
  'schedule.run': 'Run a schedule now, and catch up on ticks it missed.',
  'schedule.control': 'Pause a schedule and let it go on.',
  'trace.read': 'See what one request caused, step by step.',
  'incident.read': 'See incidents and alerts.',
  'incident.write': 'Open, note, acknowledge and close incidents.',
  'maintenance.write': 'Mute notices for a planned time.',
  'audit.read': 'See who did what, and have the audit log verified.',
} as const;

/** One of the plane's permissions. A host may have others of its own beside them. */
export type OpsPermission = keyof typeof opsPermissions;

const viewer = ['queue.read', 'dlq.read', 'schedule.read', 'trace.read', 'incident.read'] as const;

const responder = [
  ...viewer,
  'dlq.retry',
  'dlq.resolve',
  'dlq.annotate',
  'queue.control',
  'schedule.run',
  'redrive.plan',
  'redrive.run',
  'incident.write',
] as const;

/**
 * Three sets of permissions for a host that has no roles of its own: `viewer` looks, `responder` recovers failed work, `admin` may
 * everything the plane offers. Each holds the one before it.
 */
export const permissionPresets = {
  viewer,
  responder,
  admin: Object.keys(opsPermissions) as OpsPermission[],
} as const satisfies Readonly<Record<string, readonly OpsPermission[]>>;
