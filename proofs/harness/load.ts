import type { Mail } from '../../apps/marketplace/src/embedded/mailbox.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import type { ApiClient } from './api-client.ts';
import type { Intention } from './intentions.ts';
import type { Journal } from './journal.ts';
import type { MailServer } from './mail-server.ts';
import type { Random } from './random.ts';
import { fundedSlug } from './world.ts';

interface SubmittedLead {
  readonly id: string;
  readonly niche: string;
}

/** People who submit leads and click on the link in their mail, and the staff who approve them. */
export interface Load {
  /** Submits a lead to each of these niches, in their order. Each is confirmed when its mail comes. */
  submit(niches: readonly string[]): Promise<void>;
  /** Waits until `count` leads are confirmed and wait for their approval. Submits more when they run out. */
  gather(count: number): Promise<void>;
  /** Approves up to `count` confirmed leads, once there is one. Submits more when they run out. */
  approve(count: number): Promise<void>;
  /** Approves what is left as it is confirmed. */
  approveRest(): Promise<void>;
  /** Approves one lead many times at once. */
  race(): Promise<void>;
}

interface LoadDeps {
  readonly public: ApiClient;
  readonly admin: ApiClient;
  readonly mails: MailServer;
  readonly intentions: Journal<Intention>;
}

const racers = 50;
/** Longer than the waits of a mail that was refused three times. */
const confirmedWithinMs = 180_000;

export function openLoad(random: Random, deps: LoadDeps): Load {
  return new LeadLoad(random, deps);
}

class LeadLoad implements Load {
  readonly #random: Random;
  readonly #deps: LoadDeps;
  readonly #submitted = new Map<string, SubmittedLead>();
  readonly #clicked = new Set<string>();
  #waiting: SubmittedLead[] = [];
  #approved = 0;
  #failure: Error | undefined;

  constructor(random: Random, deps: LoadDeps) {
    this.#random = random;
    this.#deps = deps;
    deps.mails.onMail((mail) => {
      this.#click(mail).catch((error: unknown) => {
        this.#failure ??= new Error('a click on a confirmation link failed', { cause: error });
      });
    });
  }

  async submit(niches: readonly string[]) {
    for (const niche of niches) {
      const n = this.#submitted.size + 1;
      const email = `person-${n}@example.com`;
      const lead = { niche, name: `Person ${n}`, email, postcode: '94107', form: {}, consent: { version: 1 } };
      const { body } = await this.#deps.public.post<{ id: string }>('/leads', lead, `lead-of-person-${n}`);
      this.#deps.intentions.append({ kind: 'submitted', leadId: body.id, niche });
      this.#submitted.set(body.id, { id: body.id, niche });
    }
  }

  async gather(count: number) {
    if (this.#left < count) await this.submit(Array<string>(count).fill(fundedSlug));
    await this.#waitFor(count);
  }

  async approve(count: number) {
    if (this.#left < count) await this.submit(Array<string>(count).fill(fundedSlug));
    await this.#approveUpTo(count);
  }

  async approveRest() {
    while (this.#left > 0) await this.#approveUpTo(this.#left);
  }

  get #left() {
    return this.#submitted.size - this.#approved;
  }

  async #approveUpTo(count: number) {
    const leads = [await this.#take()];
    while (leads.length < count && this.#waiting.length > 0) leads.push(await this.#take());
    await Promise.all(leads.map((lead) => this.#approveOne(lead)));
  }

  async race() {
    if (this.#left === 0) await this.submit([fundedSlug]);
    const lead = await this.#take();
    const answers = await Promise.all(Array.from({ length: racers }, () => this.#approveOne(lead)));
    this.#deps.intentions.append({ kind: 'raced', leadId: lead.id, racers, winners: answers.filter(Boolean).length });
  }

  /** Whether this approval was the one that changed the lead. */
  async #approveOne({ id, niche }: SubmittedLead): Promise<boolean> {
    const { body } = await this.#deps.admin.post<{ changed: boolean }>(`/admin/leads/${id}/approve`);
    if (body.changed) this.#deps.intentions.append({ kind: 'approved', leadId: id, niche });
    return body.changed;
  }

  async #take(): Promise<SubmittedLead> {
    await this.#waitFor(1);
    const [lead] = this.#waiting.splice(this.#random.between(0, this.#waiting.length - 1), 1);
    if (!lead) throw new Error('a lead was taken twice');
    this.#approved += 1;
    return lead;
  }

  async #waitFor(count: number) {
    const isSo = () => this.#waiting.length >= count || this.#failure !== undefined;
    await pollUntil(isSo, { deadlineMs: confirmedWithinMs });
    if (this.#failure) throw this.#failure;
  }

  /** A second copy of a mail is clicked too, and confirms nothing new. */
  async #click(mail: Mail): Promise<void> {
    const token = /#token=([\w-]+)/.exec(mail.text)?.[1];
    if (token === undefined) return;
    const { body } = await this.#deps.public.post<{ id: string }>('/leads/confirm', { token });
    // The mail may come before the answer to the submission.
    const lead = await pollUntil(() => this.#submitted.get(body.id));
    if (!this.#clicked.has(lead.id)) this.#waiting.push(lead);
    this.#clicked.add(lead.id);
  }
}
