import { readFileSync } from 'node:fs';

export interface LogLine {
  readonly event: string;
  readonly correlation_id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export function readLog(path: string): LogLine[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line.startsWith('{"')).map((line) => JSON.parse(line) as LogLine);
}

/** What a sold lead leaves in the log at least, in the words of a line that is to be found. */
const journey: readonly (readonly [event: string, metadata: Readonly<Record<string, unknown>>])[] = [
  ['http_request', { method: 'POST', route: '/api/v1/leads', status: 202 }],
  ['lead_submitted', {}],
  ['http_request', { method: 'POST', route: '/api/v1/leads/confirm', status: 200 }],
  ['lead_confirmed', {}],
  ['http_request', { method: 'POST', route: '/api/v1/admin/leads/:id/approve', status: 200 }],
  ['lead_approved', {}],
  ['lead_distributed', { assigned: 1 }],
  ['assignment_created', { price_cents: 6000 }],
  ['job_completed', { queue: 'distribute_lead' }],
  ['job_completed', { queue: 'email_send' }],
  ['email_sent', { template: 'lead_confirm' }],
  ['email_sent', { template: 'new_lead' }],
  ['assignment_decided', { decision: 'accepted' }],
];

/** The stations of the journey that no line under this correlation id tells of. */
export function missingStations(lines: readonly LogLine[], correlationId: string): string[] {
  const own = lines.filter((line) => line.correlation_id === correlationId);
  const missing = journey.filter(
    ([event, metadata]) => !own.some((line) => line.event === event && has(line, metadata)),
  );
  return missing.map(([event, metadata]) => `${event} ${JSON.stringify(metadata)}`);
}

function has({ metadata }: LogLine, wanted: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(wanted).every(([name, value]) => metadata[name] === value);
}

/** The lines that speak of one of these ids under another correlation id. */
export function strayLines(lines: readonly LogLine[], ids: readonly string[], correlationId: string): string[] {
  const strays = lines.filter(
    (line) => line.correlation_id !== correlationId && ids.some((id) => JSON.stringify(line.metadata).includes(id)),
  );
  return strays.map((line) => JSON.stringify(line));
}
