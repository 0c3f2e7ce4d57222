/**
 * Whether any object of a JSON text names a key twice: parsers differ in which value they take, so what one checked another may not see.
 * The text must be valid JSON. One pass; a key is decoded only where it is escaped.
 */
export function repeatsKey(text: string): boolean {
  /** Keys of each open object, innermost last; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      if (isKey && isRepeated(open.at(-1), text.slice(at, end + 1))) return true;
      isKey = false;
      at = end;
    } else if (character === '{') {
      open.push(new Set());
      isKey = true;
    } else if (character === '[') {
      open.push(undefined);
    } else if (character === '}' || character === ']') {
      open.pop();
      isKey = false;
    } else if (character === ',') {
      isKey = open.at(-1) !== undefined;
    }
  }
  return false;
}

/** Where the string that begins at `from` ends: at its closing quote. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

function isRepeated(keys: Set<string> | undefined, quoted: string): boolean {
  const key = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  if (keys?.has(key)) return true;
  keys?.add(key);
  return false;
}
