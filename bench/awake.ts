import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

/**
 * Keeps every core from going to sleep, as those of a server with traffic do not: in a virtual machine a core that slept takes 0.1 to 0.3 ms
 * to wake, twice for each query of a benchmark that asks one thing after another. What spins has the idle policy of Linux, so it makes way for
 * whoever has something to do. Does nothing where there is no `chrt`.
 */
export async function keepAwake(): Promise<{ stop(): void }> {
  const spinning = Array.from({ length: availableParallelism() }, () =>
    spawn('chrt', ['--idle', '0', process.execPath, '--eval', 'for (;;);'], { stdio: 'ignore' }),
  );
  await Promise.all(spinning.map((child) => Promise.race([once(child, 'spawn'), once(child, 'error')])));
  const stop = () => spinning.forEach((child) => void child.kill('SIGKILL'));
  process.once('exit', stop);
  return {
    stop() {
      process.off('exit', stop);
      stop();
    },
  };
}
