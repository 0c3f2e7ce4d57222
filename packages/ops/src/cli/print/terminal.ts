import { createInterface } from 'node:readline/promises';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { displayWidth, truncate, wrap } from './display-width.ts';
import { safeBlock, safeJson, safeLine } from './safe-text.ts';
import { type Column, renderTable } from './table.ts';

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Style = keyof typeof styles;

/** A part of a line in one style. */
export interface Piece {
  readonly text: string;
  readonly style?: Style | undefined;
}

/** Where commands read and print. What is no terminal gets neither colours nor questions. */
export interface Streams {
  readonly stdin: Readable & { isTTY?: boolean };
  readonly stdout: Writable & { isTTY?: boolean; columns?: number };
  readonly stderr: Writable & { isTTY?: boolean };
}

/** The only way commands print: whatever they are given arrives escaped, so that no payload can drive the terminal. */
export interface Terminal {
  /** Columns to fit into: those of the terminal, 80 where there is none. */
  readonly width: number;
  /** A person is there to answer. */
  readonly isInteractive: boolean;
  /** A line may be rewritten in place. */
  readonly isLive: boolean;
  /** One line of the answer, on standard output. */
  line(text?: string, style?: Style): void;
  /** A sentence: on a terminal in as many lines as it takes, the later ones indented by `indent` columns; in a pipe one line. */
  sentence(text: string, options?: { indent?: number; style?: Style }): void;
  /** Several lines, such as a stack. */
  block(text: string, style?: Style): void;
  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void;
  /** One value on one line, or indented. */
  json(value: unknown, indent?: number): void;
  /** A remark on standard error, which no pipe reads. */
  note(text: string, style?: Style): void;
  /** Rewrites the last line where that is possible; prints nothing elsewhere. An empty text takes it away. */
  status(text: string): void;
  /** Bytes as they are into a file or pipe; escaped on a terminal. */
  bytes(chunk: Uint8Array): Promise<void>;
  /** False where nobody can answer. */
  ask(question: string): Promise<boolean>;
}

export function openTerminal(
  { stdin, stdout, stderr }: Streams,
  { noColour = false }: { noColour?: boolean | undefined } = {},
): Terminal {
  const isLive = stdout.isTTY === true;
  const width = isLive ? Math.max(40, stdout.columns ?? 80) : 80;
  const paint = (text: string, style: Style | undefined, to: { isTTY?: boolean }) =>
    style && to.isTTY && !noColour ? `\u001b[${styles[style]}m${text}\u001b[0m` : text;
  const print = (text: string) => void stdout.write(`${text}\n`);
  const decoder = new TextDecoder();
  const closed = closing(stdout);
  return {
    width,
    isLive,
    isInteractive: isLive && stdin.isTTY === true,
    line: (text = '', style) => print(paint(safeLine(text), style, stdout)),
    sentence: (text, { indent = 0, style } = {}) => {
      const lines = isLive ? wrapped(safeLine(text), width, indent) : [safeLine(text)];
      for (const line of lines) print(paint(line, style, stdout));
    },
    block: (text, style) => print(paint(safeBlock(text), style, stdout)),
    table: (columns, rows) => {
      for (const pieces of renderTable(columns, rows, width)) {
        print(pieces.map(({ text, style }) => paint(text, style, stdout)).join(''));
      }
    },
    json: (value, indent) => print(safeJson(value, indent)),
    note: (text, style) => void stderr.write(`${paint(safeBlock(text), style, stderr)}\n`),
    status: (text) => {
      if (isLive) stdout.write(`\r\u001b[K${truncate(safeLine(text), width - 1)}`);
    },
    bytes: async (chunk) => {
      const text = isLive ? safeBlock(decoder.decode(chunk, { stream: true })) : chunk;
      if (!stdout.write(text)) await Promise.race([once(stdout, 'drain'), closed]);
    },
    ask: async (question) => {
      const reader = createInterface({ input: stdin, output: stderr });
      try {
        return /^y(es)?$/i.test((await reader.question(`${safeLine(question)} [y/N] `)).trim());
      } finally {
        reader.close();
      }
    },
  };
}

/** Rejects when nobody reads any more. Without a listener that alone would end the process. */
function closing(stdout: Writable): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  stdout.on('error', reject);
  return promise;
}

/** Lines of a width, those after the first indented. */
function wrapped(text: string, width: number, indent: number): string[] {
  const head = text.slice(0, indent);
  const [first = '', ...rest] = wrap(text.slice(indent), width - indent);
  return [head + first, ...rest.map((line) => ' '.repeat(indent) + line)];
}

/** Lines of `name  value`, the names in one column. Values that are undefined are left out. */
export function facts(terminal: Terminal, pairs: readonly (readonly [string, string | undefined])[]): void {
  const present = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const width = Math.max(0, ...present.map(([name]) => displayWidth(name)));
  for (const [name, value] of present) terminal.sentence(`${name.padEnd(width)}  ${value}`, { indent: width + 2 });
}
