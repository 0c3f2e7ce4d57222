/** What moves a cursor, hides text or turns its direction: C0, DEL, C1, format characters, line and paragraph separators, lone halves. */
const dangerous = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Joiners shape letters and emoji, and can do no harm. */
const harmless = new Set(['\u200c', '\u200d']);

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text on one line, with every character that could drive a terminal written out: a payload must not be able to. */
export function safeLine(text: string): string {
  return text.replace(dangerous, (character) =>
    harmless.has(character) ? character : (short[character] ?? written(character)),
  );
}

/** The same over several lines: line feeds stay, tabs become spaces. */
export function safeBlock(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => safeLine(line.replaceAll('\t', '  ')))
    .join('\n');
}

/** JSON that is equal to what it was given, and harmless to print: `JSON.stringify` leaves DEL, C1 and the rest as they are. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(dangerous, (character) =>
    harmless.has(character) || character === '\n' ? character : unitsOf(character),
  );
}

function written(character: string): string {
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x100) return `\\x${point.toString(16).padStart(2, '0')}`;
  return unitsOf(character);
}

function unitsOf(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
