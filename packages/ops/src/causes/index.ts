/** Why work died, each with one plain sentence: the only list. Also what filters accept, and the label `reason` of the metrics. */
export const causesOfDeath = {
  exhausted: 'Every attempt it was allowed has failed.',
  permanent: 'The handler said that trying again cannot help.',
  invalid: 'The payload does not fit what the job accepts: its schema, size, depth or options.',
  unreadable: 'The content could not be read.',
  crash_loop: 'Three starts ended without a word: the process died each time it ran this.',
  stalled: 'The worker stopped renewing its lock more often than the queue allows.',
  orphaned: 'Redis held a job that Postgres does not know, so it was not run.',
  lost: 'It was handed to Redis five times and never began.',
  unknown_contract: 'The type or version of the event was still unknown after the grace time.',
  removed: 'An operator removed it before it ran.',
  start_limit: 'It was started more often than its own queue library allows.',
  parent_failed: 'A job that it depends on, or that depends on it, has failed.',
} as const;

export type CauseOfDeath = keyof typeof causesOfDeath;

/** Their names, in the order of the list. */
export const causeNames = Object.keys(causesOfDeath) as CauseOfDeath[];
