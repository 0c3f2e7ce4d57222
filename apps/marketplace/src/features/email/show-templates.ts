import type { z } from 'zod';
import { refuse } from '../../errors.ts';
import type { templateItem, templatePreview } from './contract.ts';
import { renderMail } from './render.ts';
import { samples } from './samples.ts';
import { isTemplate, isUrgent, type TemplateName, templates } from './templates.ts';

/** Every template with what it is written from. */
export function listTemplates(): { items: z.infer<typeof templateItem>[] } {
  return { items: (Object.keys(templates) as TemplateName[]).map(viewTemplate) };
}

/** A template written with sample variables; its links lead nowhere. Refuses `not_found`. */
export function previewTemplate(name: string, publicUrl: string): z.infer<typeof templatePreview> {
  if (!isTemplate(name)) throw refuse('not_found');
  const token = () => 'sample';
  const tokens = { confirmToken: token, eraseToken: token, userToken: token };
  return { ...viewTemplate(name), ...renderMail(name, samples[name], { publicUrl, ...tokens }) };
}

function viewTemplate(name: TemplateName): z.infer<typeof templateItem> {
  const { version, variables } = templates[name];
  return { name, version, urgent: isUrgent(name), variables: Object.keys(variables.shape) };
}
