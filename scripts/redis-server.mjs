// A Redis server program, found or installed. No npm package ships one that works.
import { spawnSync } from 'node:child_process';
import { capture, findProgram, SetupError, seconds } from './commands.mjs';

const oldest = [6, 2];

/** The path of a Redis or Valkey server new enough for BullMQ, or undefined. */
export function findRedisServer() {
  const found = ['redis-server', 'valkey-server'].map((name) => findProgram(name)).filter(Boolean);
  return found.find((path) => isNewEnough(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? ''));
}

/** Reads `Redis server v=7.0.15 sha=…` and Valkey's like. */
export function isNewEnough(versionLine) {
  const [, major, minor] = /v=(\d+)\.(\d+)/.exec(versionLine)?.map(Number) ?? [0, 0, 0];
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

// The distribution's service is neither started (policy-rc.d) nor left enabled: we run the program ourselves, on a
// private socket, and somebody else's server on port 6379 would only be in the way.
const aptScript = `set -e
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -q
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 redis-server
if command -v systemctl > /dev/null; then systemctl disable redis-server > /dev/null 2>&1 || true; fi`;

const managers = [
  { program: 'brew', asRoot: false, script: 'brew install redis', byHand: 'brew install redis' },
  {
    program: 'apt-get',
    asRoot: true,
    script: aptScript,
    byHand: 'apt-get install -y --no-install-recommends redis-server',
  },
  {
    program: 'dnf',
    asRoot: true,
    script: 'dnf install -y redis || dnf install -y valkey',
    byHand: 'dnf install -y redis',
  },
  { program: 'apk', asRoot: true, script: 'apk add --no-cache redis', byHand: 'apk add redis' },
];

/** Installs a server through the system's package manager; where it may not, the error names the command to run. */
export async function installRedisServer(say) {
  const manager = managers.find(({ program }) => findProgram(program));
  if (!manager) throw needed('install Redis 6.2 or newer');
  const isRoot = process.getuid() === 0;
  const needsSudo = manager.asRoot && !isRoot;
  const byHand = `run: ${needsSudo ? 'sudo ' : ''}${manager.byHand}`;
  const mayInstall = needsSudo ? await maySudo() : manager.asRoot || !isRoot;
  if (!mayInstall) throw needed(byHand);
  say(`installing a Redis server with ${manager.program} (its own service stays off) …`);
  const started = Date.now();
  const shell = ['sh', '-c', manager.script];
  const [file, ...args] = needsSudo ? ['sudo', '-n', ...shell] : shell;
  const { code, output } = await capture(file, args);
  if (code !== 0) throw needed(byHand, output.trim());
  say(`the Redis server is installed (${seconds(started)})`);
}

const maySudo = async () => findProgram('sudo') !== undefined && (await capture('sudo', ['-n', 'true'])).code === 0;

function needed(remedy, reason) {
  const opening = 'Redis 6.2 or newer is needed (redis-server or valkey-server), and none was found.';
  const ending = 'Or set REDIS_URL to a server that is already running.';
  return new SetupError([opening, ...(reason ? [reason] : []), `Please ${remedy}`, ending].join('\n'));
}
