import { isPersonalKey, maskText } from '../logging/index.ts';
import { openPaths } from '../queues/index.ts';

/** What stands in place of a personal value. */
const mask = '"[masked]"';

interface Container {
  readonly isObject: boolean;
  /** Of the member that is being read. */
  key: string;
  index: number;
  /** In an object: the next string is a key. */
  atKey: boolean;
}

/**
 * Replaces personal values in a JSON text: all below keys that name such (`email`, `phone`, `name`, `address`, `password`, …), all at
 * `paths` (JSON pointers), and addresses and numbers inside any text. The rest stays letter by letter, numbers of any size too. Linear, safe on any depth.
 * `masked` holds the paths of what was replaced, such as `user.email` or `items.0.phone`.
 */
export function maskJson(json: string, paths: readonly string[] = []): { text: string; masked: string[] } {
  const out: string[] = [];
  const masked: string[] = [];
  const containers: Container[] = [];
  const isDeclared = paths.length === 0 ? () => false : declaredIn(containers, paths);
  const replace = (text: string) => {
    masked.push(pathOf(containers));
    out.push(text);
  };
  for (let at = 0; at < json.length; ) {
    const end = endOfToken(json, at);
    const token = json.slice(at, end);
    const inside = containers.at(-1);
    if (inside?.isObject && inside.atKey && token.startsWith('"')) {
      inside.key = JSON.parse(token) as string;
      inside.atKey = false;
      out.push(token);
    } else if (startsValue(token) && ((inside?.isObject && isPersonalKey(inside.key)) || isDeclared())) {
      at = endOfValue(json, at);
      if (token === 'null') out.push(token);
      else replace(mask);
      continue;
    } else if (token.startsWith('"')) {
      const shown = maskString(token);
      if (shown === token) out.push(token);
      else replace(shown);
    } else {
      step(containers, token);
      out.push(token);
    }
    at = end;
  }
  return { text: out.join(''), masked };
}

/** Whether the value that comes next is declared to be personal. Deeper than any pointer, nothing is compared. */
function declaredIn(containers: readonly Container[], paths: readonly string[]): () => boolean {
  const isPersonal = openPaths(paths);
  const deepest = Math.max(...paths.map((path) => path.split('/').length - 1));
  return () =>
    containers.length <= deepest &&
    isPersonal(containers.map(({ isObject, key, index }) => (isObject ? key : `${index}`)));
}

function maskString(token: string): string {
  const text = JSON.parse(token) as string;
  const shown = maskText(text);
  return shown === text ? token : JSON.stringify(shown);
}

/** Follows brackets and commas. */
function step(containers: Container[], token: string): void {
  if (token === '{' || token === '[')
    containers.push({ isObject: token === '{', key: '', index: 0, atKey: token === '{' });
  else if (token === '}' || token === ']') containers.pop();
  const inside = containers.at(-1);
  if (token !== ',' || !inside) return;
  inside.index += 1;
  inside.atKey = inside.isObject;
}

function startsValue(token: string): boolean {
  return /^[{["\dtfn-]/.test(token);
}

function pathOf(containers: readonly Container[]): string {
  return containers.map(({ isObject, key, index }) => (isObject ? key : index)).join('.') || '$';
}

/** Where the token at `at` ends: a string, a bracket or sign, a run of blanks, or a bare word or number. */
function endOfToken(json: string, at: number): number {
  if (json.charCodeAt(at) === 34) return endOfString(json, at);
  bare.lastIndex = at;
  return bare.test(json) ? bare.lastIndex : at + 1;
}

const bare = /[^\s[\]{},:"]+|\s+/y;

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== 34) at += json.charCodeAt(at) === 92 ? 2 : 1;
  return at + 1;
}

/** Where the value at `at` ends, with all that is inside it. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; ) {
    const end = endOfToken(json, at);
    const first = json[at];
    if (first === '{' || first === '[') depth += 1;
    else if (first === '}' || first === ']') depth -= 1;
    if (depth === 0) return end;
    at = end;
  }
  return json.length;
}
