// node scripts/start.mjs <fmhl arguments…>: sets up, then runs the `fmhl` command on Node 24.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { exitCodeOf } from './commands.mjs';
import { ensureSetup, fail, root } from './setup.mjs';

const parentCheckEveryMs = 250;
const sameRequestWithinMs = 1_000;

const args = process.argv.slice(2);

function needsRedis() {
  const elsewhere =
    process.env.REDIS_URL || args.some((arg) => arg === '--redis-url' || arg.startsWith('--redis-url='));
  return args[0] === 'up' && !elsewhere && !args.includes('--help') && !args.includes('-h');
}

function start({ node, path }) {
  const guard = join(root, 'scripts', 'parent-guard.mjs');
  const cli = join(root, 'apps', 'marketplace', 'src', 'cli.ts');
  // Detached means a process group of its own: Ctrl-C does not reach the child by itself, so that `relaySignals` decides
  // alone how often it hears of it.
  const child = spawn(node, ['--import', guard, cli, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    // A quarter of a warm start is compiling what the last start compiled.
    env: { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node'), ...process.env, PATH: path },
    detached: true,
  });
  child.on('error', fail);
  child.on('exit', (code, signal) => process.exit(code ?? exitCodeOf(signal)));
  const parentCheck = process.env.npm_lifecycle_event ? endWithParent(child) : undefined;
  relaySignals(child, () => clearInterval(parentCheck));
}

// One Ctrl-C arrives here twice: from the terminal, and from npm, which passes its own on. The child takes a second
// signal for "end at once", so whatever comes within a second of the first is the same request.
function relaySignals(child, onFirst) {
  let lastAt = Number.NEGATIVE_INFINITY;
  const relay = (signal) => {
    const now = performance.now();
    if (now - lastAt < sameRequestWithinMs) return;
    lastAt = now;
    onFirst();
    child.kill(signal);
  };
  process.on('SIGINT', () => relay('SIGINT'));
  process.on('SIGTERM', () => relay('SIGTERM'));
  process.on('SIGHUP', () => relay('SIGTERM')); // the terminal was closed
}

// npm that is killed outright tells nobody: without this the server would stay behind and hold its port. Not while the
// child drains after a signal, though: npm may well end first then.
function endWithParent(child) {
  const parent = process.ppid;
  return setInterval(() => process.ppid !== parent && child.kill('SIGKILL'), parentCheckEveryMs).unref();
}

ensureSetup({ redis: needsRedis() }).then(start).catch(fail);
