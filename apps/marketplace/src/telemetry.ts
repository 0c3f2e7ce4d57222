import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createLogger, createMetrics } from '@fmhl/ops';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import { type AppMetrics, catalogue } from './metrics.ts';
import { queues } from './queues.ts';
import { commit, version } from './version.ts';

export interface TelemetryOptions {
  /** Part of the service name: `fmhl-<role>`. */
  readonly role: string;
  /** Where log lines go when not to standard output. */
  readonly logTo?: { write(line: string): unknown };
}

export interface Telemetry {
  readonly log: Log;
  readonly metrics: AppMetrics;
}

/** The log and the metrics of one process. */
export function openTelemetry(config: Config, { role, logTo }: TelemetryOptions): Telemetry {
  const metrics: AppMetrics = createMetrics({
    enabled: config.metricsEnabled,
    catalogue,
    queues: queues.map(({ name }) => name),
    version,
    commit,
    onCollectorFailure: (collector, error) => log.warn('metrics_collector_failed', { collector, error: String(error) }),
  });
  const log: Log = createLogger({
    level: config.logLevel,
    format: config.logFormat,
    service: `fmhl-${role}`,
    version,
    instance: hostname(),
    bootId: randomUUID(),
    ...(config.logSampleRate !== undefined && { sampleRate: config.logSampleRate }),
    ...(logTo && { destination: logTo }),
    onSuppressed: (reason) => metrics.counter('logs_suppressed_total').labels({ reason }).inc(),
  });
  return { log, metrics };
}
