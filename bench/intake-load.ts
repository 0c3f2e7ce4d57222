import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { messageOf } from './child-messages.ts';
import type { ArmName, ServerMessage } from './intake-server.ts';
import type { Servers } from './servers.ts';

/** A server that takes in leads, in a process of its own. */
export interface Arm {
  readonly url: string;
  /** CPU time of its process so far, in µs. */
  cpuMicros(): Promise<number>;
  close(): Promise<void>;
}

export async function openArm(name: ArmName, { databaseUrl, redisUrl }: Servers): Promise<Arm> {
  const file = fileURLToPath(new URL('./intake-server.ts', import.meta.url));
  const child = fork(file, [name, databaseUrl, redisUrl]);
  const answer = () => messageOf<ServerMessage>(child, 'a server');
  const { port } = await answer();
  return {
    url: `http://127.0.0.1:${port}`,
    async cpuMicros() {
      child.send('cpu');
      return (await answer()).cpuMicros ?? 0;
    },
    async close() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

/** What the form of the niche asks. */
export const fields = [
  { name: 'what', label: 'What is it about?', type: 'text', required: true },
  { name: 'rooms', label: 'Rooms', type: 'number', required: false },
];

let submitted = 0;

/** Another person each time. */
export function submissionOf(niche: string) {
  submitted += 1;
  const digits = String(submitted).padStart(7, '0');
  const body = {
    niche,
    name: 'Jane Doe',
    email: `jane.doe.${submitted}@example.com`,
    phone: `+1415${2_000_000 + (submitted % 7_000_000)}`,
    postcode: '94107',
    form: { what: `A new roof, ${digits}`, rooms: 4 },
    consent: { version: 1 },
    source: 'ads',
  };
  return {
    method: 'POST',
    path: '/api/v1/leads',
    headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    body: JSON.stringify(body),
  };
}
