import type { Socket } from 'node:net';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

export interface GracefulCloseOptions {
  /** True from the signal on: answers then ask their callers to connect anew. */
  readonly isDraining: () => boolean;
  /** How long a close goes on accepting, so that callers with open connections hear that they end, in ms. Default 250. */
  readonly noticeMs?: number;
  /** How long connections without a request may stay after that, in ms. Default 1,000. */
  readonly silentMs?: number;
  /** How long requests under way may take after that, in ms. Default 20,000. */
  readonly requestMs?: number;
}

/** Pause between two looks for connections that have become idle, in ms. */
const sweepMs = 50;

/** A crowd that connects without a pause must not keep the listener open: turns of the event loop without such a pause, at most. */
const mostTurns = 1_000;

/**
 * Lets `app.close()` fail no request that was sent: answers say `connection: close` from the signal on, the listener stays open a
 * moment more, what is under way is answered, and idle connections go last. To be called before the routes are added, on a server
 * with `return503OnClosing: false`.
 */
export function gracefulClose(
  app: FastifyInstance,
  { isDraining, noticeMs = 250, silentMs = 1_000, requestMs = 20_000 }: GracefulCloseOptions,
): void {
  const silent = new Set<Socket>();
  let accepted = 0;
  app.server.on('connection', (socket: Socket) => {
    accepted += 1;
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.on('request', ({ socket }) => silent.delete(socket));
  let isClosing = false;
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing || isDraining()) reply.header('connection', 'close');
  });
  app.addHook('preClose', async () => {
    isClosing = true;
    if (!app.server.listening) return;
    await wait(noticeMs);
    // What the system has accepted for us would be reset with the listener: it is taken in first.
    for (let turns = 0, before = -1; before !== accepted && turns < mostTurns; turns += 1) {
      before = accepted;
      await turn();
      await turn();
    }
    // Answers that had begun before the close did not say that their connection ends.
    const sweep = setInterval(() => app.server.closeIdleConnections(), sweepMs).unref();
    app.server.once('close', () => clearInterval(sweep));
    setTimeout(() => {
      for (const socket of silent) socket.destroy();
    }, silentMs).unref();
    setTimeout(() => app.server.closeAllConnections(), requestMs).unref();
  });
}
