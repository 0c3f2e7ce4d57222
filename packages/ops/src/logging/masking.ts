const uuid = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
const cardLike = '(?<!\\d)\\d(?:[ -]?\\d){11,}';
const international = '(?:\\+|%2[bB])\\d[\\d ().-]{6,17}\\d';
const northAmerican = '(?<![\\d.])(?:1[ .-]?)?\\(?[2-9]\\d{2}\\)?[ .-]?\\d{3}[ .-]?\\d{4}(?!\\d)';

// UUIDs come first so that ids survive: whatever an alternative matches, the later ones cannot see.
const numbers = new RegExp(`(${uuid})|(${cardLike})|${international}|${northAmerican}`, 'g');
/** True of every text that `numbers` finds something in: seven digits hardly apart, or a plus before one. Most texts have neither. */
const mayHoldNumbers = /(?:\d[ ().-]{0,2}){7}|(?:\+|%2[bB])\d/;
const email = /[\p{L}\p{N}._%+'-]{1,64}(?:@|%40)[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})+/gu;

/**
 * Replaces e-mail shapes by `[email]`, digit runs of 12 and more (blanks and dashes allowed between) by `[number]` and
 * phone shapes by `[phone]`. UUIDs stay. Texts up to some KiB; the cost is linear.
 */
export function maskText(text: string): string {
  let masked = text;
  if (masked.includes('@') || masked.includes('%40')) masked = masked.replace(email, '[email]');
  if (!mayHoldNumbers.test(masked)) return masked;
  return masked.replace(numbers, (match, id?: string, card?: string) => {
    if (id) return match;
    return card ? '[number]' : '[phone]';
  });
}

/** Free text, URLs and e-mails are masked; one-word values (ids, names of queues and routes) stay whole. */
export function maskValue(text: string): string {
  return text.length > 4 && /[\s@?%]|:\/\//.test(text) ? maskText(text) : text;
}

const secretWords = 'authorization|cookie|api_key|password|passwd|token|secret|credential';
const personalWords = 'email|phone|address|ip|card|iban|ssn';
const sensitive = new RegExp(`(^|_)(${secretWords}|${personalWords})(s|es)?(_numbers?)?$`);
const personName = /^((first|last|full|given|family|middle|display|contact|user|person|customer)_)?name$/;
const decided = new Map<string, boolean>();

/** True when a metadata key must never carry its value, at any depth: `password`, `contactEmail`, `x-api-key`, `name`, … */
export function isSensitiveKey(key: string): boolean {
  const known = decided.get(key);
  if (known !== undefined) return known;
  const snake = key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[-. ]/g, '_')
    .toLowerCase();
  const verdict = sensitive.test(snake) || personName.test(snake);
  // Keys come from source code, so their number is small; the bound is for a caller that logs data as keys.
  if (decided.size < 5_000) decided.set(key, verdict);
  return verdict;
}

const personal =
  /^(to|cc|bcc|recipients?|street.*|zip(_?code)?|post(al)?_?code|city|surname|date_?of_?birth|birth_?da(y|te)|dob|mobile|fax)$/i;

/** True when what a payload holds below a key of this name is about a person, or a secret: those of {@link isSensitiveKey}, and more. */
export function isPersonalKey(key: string): boolean {
  return personal.test(key) || isSensitiveKey(key);
}
