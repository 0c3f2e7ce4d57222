import { type RenderedMail, renderLetter, UnwritableMail } from './letter.ts';
import { isTemplate, type MailContext, type TemplateName, templates } from './templates.ts';

/** Writes a mail from what its row holds. Throws {@link UnwritableMail}, which names the template and the faulty variables. */
export function renderMail(name: string, variables: unknown, context: MailContext): RenderedMail {
  if (!isTemplate(name)) throw new UnwritableMail('unknown mail template');
  return renderLetter(writeLetter(name, variables, context));
}

function writeLetter<Name extends TemplateName>(name: Name, variables: unknown, context: MailContext) {
  const template = templates[name];
  const checked = template.variables.safeParse(variables);
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => issue.path.join('.') || issue.code);
    throw new UnwritableMail(`variables of mail template ${name} do not fit: ${faults.join(', ')}`);
  }
  // Each template takes what its own schema let through; TypeScript cannot follow that through the union.
  return template.write(checked.data as never, context);
}
