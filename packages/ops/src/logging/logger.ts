import { currentContext } from './context.ts';
import { typeOf } from './errors.ts';
import { type Meta, prepareErrorMetadata, prepareMetadata } from './metadata.ts';
import { type LogDestination, type LogFormat, type LogLevel, openOutput } from './output.ts';
import { createRepetitionGuard } from './repetition.ts';
import { createSampler, keepsJourney } from './sampling.ts';
import type { OpsLogEvent, SampledLogEvent } from './vocabulary.ts';

/** Why a line was not written, or not as given. Label of `logs_suppressed_total`. */
export const suppressionReasons = ['sampled', 'identical_error', 'serialize', 'destination'] as const;
export type SuppressionReason = (typeof suppressionReasons)[number];

/**
 * Writes one JSON object per line. `E` is the closed vocabulary of events.
 * Never throws: a line that cannot be serialised is written with `metadata: { log_error }`.
 */
export interface Logger<E extends string = OpsLogEvent> {
  /** Lifecycle and business facts. */
  info(event: E, metadata?: Meta): void;
  /** Handled but abnormal. An error may be given as `metadata.error`; identical ones are then written as those of `error` are. */
  warn(event: E, metadata?: Meta): void;
  /** Off in production. Guard costly metadata with {@link isDebug}. */
  debug(event: E, metadata?: Meta): void;
  /** A person must look. Identical errors: 10 in the first minute, then one a minute with `metadata.suppressed`. */
  error(event: E, error: unknown, metadata?: Meta): void;
  /** An info line that sampling may drop, whole journeys at a time; `metadata` may be a function, called only if kept. */
  sampled(event: SampledLogEvent, metadata: Meta | (() => Meta), options?: { slow?: boolean }): void;
  /** The same logger under this id, which wins over the async context. */
  withCorrelation(correlationId: string): Logger<E>;
  /** Turns debug on, then back by itself. Default 10 minutes. */
  enableDebugFor(ms?: number): void;
  readonly isDebug: boolean;
}

export interface LoggerOptions {
  /** Anything else than these four throws. */
  level: LogLevel;
  /** `pretty` is for terminals. */
  format: LogFormat;
  service: string;
  version: string;
  instance: string;
  /** Correlation of lines outside any request or job. */
  bootId: string;
  /** Kept share of the sampled events, 0–1. Default: 1, 0.1 for an event above 50 lines a second, 0.01 above 500. */
  sampleRate?: number;
  /** Default standard output. Written synchronously: the last line before an exit survives. */
  destination?: LogDestination;
  /** Told of every line dropped or damaged. Must not log. */
  onSuppressed?: (reason: SuppressionReason) => void;
  /** Milliseconds, for the windows of sampling and suppression. Default `Date.now`. */
  now?: () => number;
}

const severity = { debug: 20, info: 30, warn: 40, error: 50 } as const satisfies Record<LogLevel, number>;

/** Makes the logger of a process. Throws `RangeError` on an unknown level or a rate outside 0–1. */
export function createLogger<E extends string = OpsLogEvent>(options: LoggerOptions): Logger<E> {
  if (!Object.hasOwn(severity, options.level))
    throw new RangeError(`log level ${options.level} is not one of debug, info, warn, error`);
  const { sampleRate } = options;
  if (sampleRate !== undefined && !(sampleRate >= 0 && sampleRate <= 1))
    throw new RangeError('sampleRate is not within 0 and 1');
  return new ContextLogger<E>(openCore(options));
}

/** What a logger and those made from it have in common. */
interface Core {
  readonly pino: ReturnType<typeof openOutput>;
  level: number;
  readonly configuredLevel: LogLevel;
  debugTimer: NodeJS.Timeout | undefined;
  readonly bootId: string;
  readonly sampler: ReturnType<typeof createSampler>;
  readonly repetition: ReturnType<typeof createRepetitionGuard>;
  readonly suppressed: (reason: SuppressionReason) => void;
}

function openCore(options: LoggerOptions): Core {
  const { level, format, service, version, instance, bootId, sampleRate, destination = 1, now = Date.now } = options;
  const suppressed = (reason: SuppressionReason) => {
    try {
      options.onSuppressed?.(reason);
    } catch {
      // Counting is the host's; its failure must not reach the caller that logs.
    }
  };
  const base = { service, version, instance };
  return {
    pino: openOutput({ level, format, base, destination, onFailure: () => suppressed('destination') }),
    level: severity[level],
    configuredLevel: level,
    debugTimer: undefined,
    bootId,
    sampler: createSampler(sampleRate, now),
    repetition: createRepetitionGuard(now),
    suppressed,
  };
}

interface Judged {
  readonly write: boolean;
  readonly extra?: Meta;
}

const notRepeated: Judged = { write: true };

class ContextLogger<E extends string> implements Logger<E> {
  readonly #core: Core;
  readonly #correlationId: string | undefined;

  constructor(core: Core, correlationId?: string) {
    this.#core = core;
    this.#correlationId = correlationId || undefined;
  }

  get isDebug() {
    return this.#core.level <= severity.debug;
  }

  debug(event: E, metadata?: Meta) {
    if (this.#core.level <= severity.debug) this.#write('debug', event, (extra) => prepareMetadata(metadata, extra));
  }

  info(event: E, metadata?: Meta) {
    if (this.#core.level <= severity.info) this.#write('info', event, (extra) => prepareMetadata(metadata, extra));
  }

  warn(event: E, metadata?: Meta) {
    if (this.#core.level > severity.warn) return;
    const repeated = metadata?.error === undefined ? notRepeated : this.#judge(event, metadata.error, metadata);
    if (repeated.write)
      this.#write('warn', event, (extra) => prepareMetadata(metadata, { ...extra, ...repeated.extra }));
  }

  error(event: E, error: unknown, metadata?: Meta) {
    const repeated = this.#judge(event, error, metadata);
    if (!repeated.write) return;
    this.#write('error', event, (extra) => prepareErrorMetadata(error, metadata, { ...extra, ...repeated.extra }));
  }

  /** Whether a line about an error is one too many of its kind, and what the next one says of those left out. */
  #judge(event: E, error: unknown, metadata: Meta | undefined): Judged {
    try {
      const place = metadata?.route ?? metadata?.queue;
      const verdict = this.#core.repetition(`${event} ${typeOf(error)} ${typeof place === 'string' ? place : ''}`);
      if (verdict.write)
        return verdict.suppressed > 0 ? { write: true, extra: { suppressed: verdict.suppressed } } : notRepeated;
      this.#core.suppressed('identical_error');
      return { write: false };
    } catch {
      // An error that cannot even be named is written all the same, as `log_error`.
      return notRepeated;
    }
  }

  sampled(event: SampledLogEvent, metadata: Meta | (() => Meta), options?: { slow?: boolean }) {
    const core = this.#core;
    if (core.level > severity.info) return;
    const rate = core.sampler.rate(event);
    const slow = options?.slow === true;
    if (rate < 1 && !slow) {
      const correlationId = this.#correlationId || currentContext()?.correlationId || core.bootId;
      if (!keepsJourney(correlationId, rate)) return core.suppressed('sampled');
    }
    this.#write('info', event, (extra) => {
      // A slow line is kept whatever the rate, so it stands for itself alone.
      const sampling = rate < 1 && !slow ? { ...extra, sample_rate: rate } : extra;
      return prepareMetadata(typeof metadata === 'function' ? metadata() : metadata, sampling);
    });
  }

  withCorrelation(correlationId: string): Logger<E> {
    return new ContextLogger<E>(this.#core, correlationId);
  }

  enableDebugFor(ms = 600_000) {
    const core = this.#core;
    clearTimeout(core.debugTimer);
    setLevel(core, 'debug');
    core.debugTimer = setTimeout(() => setLevel(core, core.configuredLevel), ms);
    core.debugTimer.unref();
  }

  #write(level: LogLevel, event: string, prepare: (extra?: Meta) => Meta) {
    const core = this.#core;
    const context = currentContext();
    const correlation_id = this.#correlationId || context?.correlationId || core.bootId;
    let metadata: Meta;
    try {
      const requestId = context?.requestId;
      metadata = prepare(
        requestId !== undefined && requestId !== correlation_id ? { request_id: requestId } : undefined,
      );
    } catch (failure) {
      core.suppressed('serialize');
      metadata = { log_error: safeTypeOf(failure) };
    }
    const fields: Record<string, unknown> = { correlation_id, metadata };
    if (context?.traceId !== undefined) {
      fields.trace_id = context.traceId;
      fields.span_id = context.spanId;
    }
    try {
      core.pino[level](fields, event);
    } catch {
      core.suppressed('destination');
    }
  }
}

function setLevel(core: Core, level: LogLevel) {
  core.level = severity[level];
  core.pino.level = level;
}

function safeTypeOf(thrown: unknown): string {
  try {
    return typeOf(thrown);
  } catch {
    return 'unknown';
  }
}
