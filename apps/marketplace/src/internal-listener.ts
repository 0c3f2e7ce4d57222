import { PortTaken, probeListener, type Runnable } from '@fmhl/ops';
import type { App } from './app.ts';
import { ConfigError } from './config.ts';

/** The listener of `/metrics` and the probes. With `anyPort`, a taken port is a reason to warn and take a free one. */
export function internalListener(app: App, { needs, anyPort }: { needs: readonly string[]; anyPort: boolean }) {
  const { metricsHost: host, metricsPort } = app.config;
  const open = (port: number) => probeListener({ host, port, health: app.ops.health, metrics: app.metrics, needs });
  let listener = open(metricsPort);
  let port = metricsPort;
  const runnable: Runnable & { readonly port: number } = {
    name: 'metrics',
    get port() {
      return port;
    },
    async start() {
      try {
        ({ port } = await listener.start());
      } catch (error) {
        if (!(error instanceof PortTaken)) throw error;
        if (!anyPort)
          throw new ConfigError([
            `METRICS_PORT: port ${metricsPort} is in use; choose another with METRICS_PORT=<port>`,
          ]);
        listener = open(0);
        ({ port } = await listener.start());
      }
    },
    stop: () => listener.stop(),
  };
  return runnable;
}
