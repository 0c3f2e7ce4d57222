import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import {
  addNote,
  annotations,
  assign,
  assigneeBody,
  deadLetterNote,
  deadLetterNotes,
  linkTicket,
  noteBody,
  readNotes,
  snooze,
  snoozeBody,
  type Subject,
  ticketBody,
  wake,
  wakeBody,
} from '../dead-letter-groups/index.ts';
import type { AdminDeps } from './admin.ts';
import { operation } from './route.ts';
import { write } from './write.ts';

/** Letters and groups are annotated by the same requests. */
export interface Annotating<Params extends z.ZodType> {
  /** Path of the letter or group. */
  readonly base: string;
  readonly params: Params;
  readonly subjectOf: (params: z.infer<Params>) => Promise<Subject>;
  /** For the reference. */
  readonly what: string;
}

export function annotationRoutes<Params extends z.ZodType>(
  app: FastifyInstance,
  deps: AdminDeps,
  annotating: Annotating<Params>,
): void {
  noteRoutes(app, deps, annotating);
  assigneeRoute(app, deps, annotating);
  ticketRoute(app, deps, annotating);
  snoozeRoutes(app, deps, annotating);
}

function noteRoutes<Params extends z.ZodType>(
  app: FastifyInstance,
  { db }: AdminDeps,
  { base, params, subjectOf, what }: Annotating<Params>,
): void {
  const url = `${base}/notes`;
  operation(
    app,
    {
      method: 'GET',
      url,
      permission: 'dlq.read',
      summary: `What people wrote of ${what}`,
      params,
      answer: deadLetterNotes,
    },
    async (call) => ({ notes: await readNotes(db, await subjectOf(call.params)) }),
  );
  operation(
    app,
    {
      method: 'POST',
      url,
      permission: 'dlq.annotate',
      idempotency: 'required',
      summary: `Add a note to ${what}; notes are never edited`,
      params,
      body: noteBody,
      answer: deadLetterNote,
      status: 201,
    },
    async ({ params: path, body: { text }, actor, request, reply }) => {
      const subject = await subjectOf(path);
      return write(db, request, reply, async (tx) => ({
        status: 201,
        body: await addNote(tx, { subject, text, actor }),
      }));
    },
  );
}

const setting = { method: 'PUT', permission: 'dlq.annotate', answer: annotations } as const;

function assigneeRoute<Params extends z.ZodType>(
  app: FastifyInstance,
  { db }: AdminDeps,
  { base, params, subjectOf, what }: Annotating<Params>,
): void {
  operation(
    app,
    { ...setting, url: `${base}/assignee`, summary: `Name who looks after ${what}`, params, body: assigneeBody },
    async ({ params: path, body: { assignee, expected_version: expectedVersion }, actor, request, reply }) => {
      const subject = await subjectOf(path);
      const change = { subject, assignee, actor, expectedVersion };
      return write(db, request, reply, async (tx) => ({ status: 200, body: await assign(tx, change) }));
    },
  );
}

function ticketRoute<Params extends z.ZodType>(
  app: FastifyInstance,
  { db }: AdminDeps,
  { base, params, subjectOf, what }: Annotating<Params>,
): void {
  operation(
    app,
    { ...setting, url: `${base}/ticket`, summary: `Link a ticket to ${what}`, params, body: ticketBody },
    async ({ params: path, body: { url, expected_version: expectedVersion }, actor, request, reply }) => {
      const change = { subject: await subjectOf(path), url, actor, expectedVersion };
      return write(db, request, reply, async (tx) => ({ status: 200, body: await linkTicket(tx, change) }));
    },
  );
}

function snoozeRoutes<Params extends z.ZodType>(
  app: FastifyInstance,
  { db, web }: AdminDeps,
  { base, params, subjectOf, what }: Annotating<Params>,
): void {
  const url = `${base}/snooze`;
  operation(
    app,
    { ...setting, url, summary: `Let ${what} sleep until a time or until more deaths`, params, body: snoozeBody },
    async ({ params: path, body, actor, request, reply }) => {
      const { until, more_than: moreThan, reason, expected_version: expectedVersion } = body;
      const subject = await subjectOf(path);
      const now = web.now?.() ?? new Date();
      const asked = {
        subject,
        reason,
        actor,
        moreThan,
        until: until ? new Date(until) : undefined,
        expectedVersion,
        now,
      };
      return write(db, request, reply, async (tx) => ({ status: 200, body: await snooze(tx, asked) }));
    },
  );
  operation(
    app,
    { ...setting, method: 'DELETE', url, summary: `End the snooze of ${what}`, params, body: wakeBody },
    async ({ params: path, body: { expected_version: expectedVersion }, actor, request, reply }) => {
      const change = { subject: await subjectOf(path), actor, expectedVersion };
      return write(db, request, reply, async (tx) => ({ status: 200, body: await wake(tx, change) }));
    },
  );
}
