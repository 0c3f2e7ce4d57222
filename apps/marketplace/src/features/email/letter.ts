import { PermanentError } from '@fmhl/ops';

/** A mail that can never be written: its template is gone, its variables do not fit, or its subject breaks out of its line. */
export class UnwritableMail extends PermanentError {
  override name = 'UnwritableMail';
}

/** A mail as it is written: plain text in, both bodies out. */
export interface Letter {
  readonly subject: string;
  readonly paragraphs: readonly string[];
  /** The one thing to do. */
  readonly link?: LetterLink;
  /** What may be done besides, below the signature. */
  readonly footnote?: LetterLink;
}

interface LetterLink {
  readonly label: string;
  readonly url: string;
}

export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const signature = 'Find Me a Hot Lead';

/** Both bodies of a letter. Every word of it is escaped in the HTML. Throws {@link UnwritableMail} for a subject of several lines. */
export function renderLetter({ subject, paragraphs, link, footnote }: Letter): RenderedMail {
  // oxlint-disable-next-line eslint/no-control-regex -- a header must not be continued by what a variable holds
  if (/[\u0000-\u001f\u007f]/.test(subject))
    throw new UnwritableMail('the subject of a mail holds a control character');
  const textOf = (one?: LetterLink) => (one ? [`${one.label}:\n${one.url}`] : []);
  const htmlOf = (one?: LetterLink) =>
    one ? [`<p><a href="${escapeHtml(one.url)}">${escapeHtml(one.label)}</a></p>`] : [];
  const textParts = [...paragraphs, ...textOf(link), `-- \n${signature}`, ...textOf(footnote)];
  const htmlParts = [
    ...paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`),
    ...htmlOf(link),
    `<p>${escapeHtml(signature)}</p>`,
    ...htmlOf(footnote),
  ];
  return {
    subject,
    text: `${textParts.join('\n\n')}\n`,
    html: `<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>\n<body>\n${htmlParts.join('\n')}\n</body>\n</html>\n`,
  };
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** Cents as a person reads them: `$1,234.50`. */
export function dollars(cents: number): string {
  const whole = Math.trunc(Math.abs(cents) / 100).toLocaleString('en-US');
  return `${cents < 0 ? '-' : ''}$${whole}.${String(Math.abs(cents) % 100).padStart(2, '0')}`;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
