import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type Doctor, type DoctorReport, doctorReport } from '../doctor/index.ts';
import { refuse } from '../refusals/index.ts';
import { count, operation } from './route.ts';

const yes = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');

const query = z.strictObject({
  /** Everything, and not only what changed since the last scheduled look that found all well. */
  full: yes.prefault('false'),
  /** The probes alone, where it is false. */
  parts: yes.prefault('true'),
  /** Names of probes, with commas between them; without parts. */
  only: z
    .string()
    .regex(/^\w{1,60}(,\w{1,60}){0,99}$/, 'must be names with commas between them')
    .optional(),
  /** Longest look of all probes together, in seconds; those whose turn does not come are not checked. */
  within_s: count(1, 600).prefault('20'),
});

/** Whether the system is sound. */
export function doctorRoutes(app: FastifyInstance, { doctor }: { doctor: Doctor }): void {
  const names = new Set(doctor.checks.map(({ name }) => name));
  let underWay: { ask: string; report: Promise<DoctorReport> } | undefined;
  operation(
    app,
    {
      method: 'GET',
      url: '/doctor',
      permission: 'queue.read',
      summary: 'Ask every invariant and part whether it is sound, and name the rows that break one; one look at a time',
      query,
      answer: doctorReport,
    },
    async ({ query: { full, parts, only, within_s } }) => {
      const wanted = only?.split(',');
      const unknown = wanted?.find((name) => !names.has(name));
      if (unknown !== undefined)
        throw refuse('validation_failed', {
          faults: [{ at: 'query.only', message: `must be of ${[...names].join(', ')}` }],
        });
      const ask = JSON.stringify([full, parts, only, within_s]);
      // Whoever asks the same has the same answer.
      if (underWay?.ask === ask) return underWay.report;
      if (underWay) throw refuse('in_progress');
      const report = doctor.look({ full, parts, ...(wanted && { only: wanted }), withinMs: within_s * 1_000 });
      underWay = { ask, report };
      return report.finally(() => (underWay = undefined));
    },
  );
}
