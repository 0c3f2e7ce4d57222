import { isatty } from 'node:tty';
import pino from 'pino';
import { prettyFactory } from 'pino-pretty';
import { openDescriptor } from './descriptor.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'pretty';

/** A file descriptor, or anything that takes whole lines. */
export type LogDestination = number | { write(line: string): unknown };

interface OutputOptions {
  level: LogLevel;
  format: LogFormat;
  base: Record<string, string>;
  destination: LogDestination;
  onFailure: () => void;
}

const lineLimit = 16_384;

/** The pino behind the logger: synchronous, no transports, `event` as message, level names, timestamps in ISO 8601. */
export function openOutput({ level, format, base, destination, onFailure }: OutputOptions) {
  const lines = typeof destination === 'number' ? openDescriptor(destination, onFailure) : destination;
  return pino(
    {
      level,
      base,
      messageKey: 'event',
      timestamp,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: limitLine },
    },
    format === 'pretty' ? prettyStream(lines, destination) : lines,
  );
}

let second = 0;
let secondText = '';

/** ISO 8601 with milliseconds. The text of the second is kept: it costs 0.8 µs, a tenth of a line. */
function timestamp(): string {
  const at = Date.now();
  const milliseconds = at % 1000;
  if (at - milliseconds !== second) {
    second = at - milliseconds;
    secondText = `,"timestamp":"${new Date(second).toISOString().slice(0, 20)}`;
  }
  return `${secondText}${String(milliseconds).padStart(3, '0')}Z"`;
}

function prettyStream(lines: { write(line: string): unknown }, destination: LogDestination) {
  const format = prettyFactory({
    colorize: typeof destination === 'number' && isatty(destination),
    messageKey: 'event',
    timestampKey: 'timestamp',
    levelKey: 'level',
    ignore: 'service,version,instance',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return { write: (line: string) => void lines.write(format(line)) };
}

/** The last net: whatever escaping made of a line, it holds at most 16 KiB and stays JSON. */
function limitLine(line: string): string {
  if (line.length * 3 <= lineLimit || Buffer.byteLength(line) <= lineLimit) return line;
  const { metadata, ...fields } = JSON.parse(line) as { metadata: Record<string, unknown> };
  const kept: Record<string, unknown> = { truncated: true };
  for (const [key, value] of Object.entries(metadata)) {
    if (Object.keys(kept).length > 40) break;
    if (typeof value === 'number' || typeof value === 'boolean') kept[key.slice(0, 60)] = value;
    else if (typeof value === 'string') kept[key.slice(0, 60)] = value.slice(0, 40);
  }
  if (isDescribedError(metadata.error)) {
    const { type, message, stack, code } = metadata.error;
    kept.error = { type, message: message.slice(0, 300), stack: stack.slice(0, 800), code };
  }
  return `${JSON.stringify({ ...fields, metadata: kept })}\n`;
}

function isDescribedError(
  value: unknown,
): value is { type: string; message: string; stack: string; code: string | null } {
  return typeof value === 'object' && value !== null && typeof (value as { stack?: unknown }).stack === 'string';
}
