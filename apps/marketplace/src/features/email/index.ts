export { eraseMails } from './erase-mails.ts';
export { type EmailHandlerDeps, openEmailHandler } from './jobs.ts';
export { type MailDraft, mailParts, queueMail, queueMails } from './queue-mail.ts';
export { requeueMails } from './requeue-mails.ts';
export { type TemplateName, templates, type VariablesOf } from './templates.ts';
export { type MailTransport, openTransport } from './transport.ts';
export { emailRoutes } from './routes.ts';
