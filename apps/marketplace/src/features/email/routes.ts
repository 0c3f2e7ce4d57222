import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import {
  emailList,
  emailQuery,
  resendRequest,
  resent,
  templateList,
  templateParams,
  templatePreview,
} from './contract.ts';
import { listEmails } from './reading.ts';
import { resendMail } from './resend-mail.ts';
import { listTemplates, previewTemplate } from './show-templates.ts';

export interface EmailRouteDeps {
  readonly db: Database;
  /** Origin of the links in previews. */
  readonly publicUrl: string;
}

const tags = ['mails'];
const reading = { access: staff('lead.read') };

/** What the staff see of mails, and the second try that a person asks for. */
export function emailRoutes(app: FastifyInstance, deps: EmailRouteDeps): void {
  mailRoutes(app, deps);
  templateRoutes(app, deps);
}

function mailRoutes(app: FastifyInstance, { db }: EmailRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/emails',
    config: reading,
    schema: {
      tags,
      summary: 'Mails, newest first; a page may be short while more follow',
      querystring: emailQuery,
      response: { 200: emailList },
    },
    handler: (request) => listEmails(db, request.query),
  });
  routes.route({
    method: 'POST',
    url: '/admin/emails/:id/resend',
    config: { access: staff('lead.review'), idempotency: 'accepted' },
    schema: {
      tags,
      summary: 'Send a mail that was sent, refused or suppressed once more, as a mail of its own',
      params: idParams,
      body: resendRequest,
      response: { 201: resent },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const { memo, lift_suppression: liftSuppression } = request.body;
        const actor = actorOf(request);
        const { id } = await resendMail(tx, { emailId: request.params.id, memo, liftSuppression, actor });
        return { status: 201, body: { id, status: 'queued' as const } };
      }),
  });
}

function templateRoutes(app: FastifyInstance, { publicUrl }: EmailRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/email-templates',
    config: reading,
    schema: { tags, summary: 'Every template of a mail', response: { 200: templateList } },
    handler: async () => listTemplates(),
  });
  routes.route({
    method: 'GET',
    url: '/admin/email-templates/:name/preview',
    config: reading,
    schema: {
      tags,
      summary: 'A template written with sample variables',
      params: templateParams,
      response: { 200: templatePreview },
    },
    handler: async ({ params }) => previewTemplate(params.name, publicUrl),
  });
}
