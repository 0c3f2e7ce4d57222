import { randomUUID } from 'node:crypto';
import type { OperationsAnswer, OperationsClient, OperationsRequest } from './client.ts';
import { type ExitCode, exitCodes, exitOf } from './exit-codes.ts';
import type { Terminal } from './print/terminal.ts';

/** What every command may be asked. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly yes?: boolean;
  readonly reason?: string;
}

/** One run of one command. */
export interface Run {
  readonly client: OperationsClient;
  readonly terminal: Terminal;
  readonly output: OutputOptions;
  readonly now: () => Date;
  /** Pause between two looks at something that is watched, in ms. */
  readonly pollMs: number;
}

/** Ends a command with lines for the person and a code for the script. */
export class CommandFailed extends Error {
  readonly exit: ExitCode;

  constructor(exit: ExitCode, message: string) {
    super(message);
    this.name = 'CommandFailed';
    this.exit = exit;
  }
}

export function misused(message: string): CommandFailed {
  return new CommandFailed(exitCodes.misused, message);
}

/** The shape of every error of the API. */
export interface Problem {
  readonly error: string;
  readonly code: string;
  readonly correlation_id: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A request that the API refused. */
export class Refused extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(problem.code);
    this.name = 'Refused';
    this.status = status;
    this.problem = problem;
  }

  get exit(): ExitCode {
    return exitOf({ status: this.status, code: this.problem.code });
  }
}

/** Sends a request and answers its body. Throws `Refused` for anything but success. */
export async function ask<Body>(run: Run, request: OperationsRequest): Promise<Body> {
  const answer = await run.client.request(request);
  if (answer.status < 300) return answer.body as Body;
  throw refusedBy(answer);
}

export function get<Body>(run: Run, path: string, query: OperationsRequest['query'] = {}): Promise<Body> {
  return ask(run, { method: 'GET', path, query });
}

/** A write under a key of its own, so that a repeat on the way does nothing twice. */
export function write<Body>(
  run: Run,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: object = {},
): Promise<Body> {
  return ask(run, { method, path, body, idempotencyKey: `cli-${randomUUID()}` });
}

export function refusedBy({ status, body }: OperationsAnswer): Refused {
  if (isProblem(body)) return new Refused(status, body);
  const nobody = { error: 'Not an answer of the operations API', code: `http_${status}`, correlation_id: '' };
  return new Refused(status, nobody);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'error' in body;
}
