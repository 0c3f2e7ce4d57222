import { JobTimeout } from './failure.ts';

/** A timer for one attempt. The signal is made on demand: most handlers never ask for it. */
export function openDeadline(timeoutMs: number, shutdown: AbortSignal) {
  let controller: AbortController | undefined;
  let reject: (error: Error) => void = () => {};
  const expired = new Promise<never>((_resolve, refuse) => {
    reject = refuse;
  });
  expired.catch(() => {});
  const end = (error: Error) => {
    controller?.abort(error);
    reject(error);
  };
  const timer = setTimeout(() => end(new JobTimeout(`no result within ${timeoutMs} ms`)), timeoutMs);
  const stop = () => end(shutdown.reason as Error);
  shutdown.addEventListener('abort', stop, { once: true });
  return {
    expired,
    get signal() {
      controller ??= new AbortController();
      return controller.signal;
    },
    clear() {
      clearTimeout(timer);
      shutdown.removeEventListener('abort', stop);
    },
  };
}
