// Loaded into the program that start.mjs runs. The other end of file descriptor 3 is held by start.mjs alone: when it
// closes while we live, start.mjs was killed outright, and whoever did that wants this process gone, not draining on.
import { Socket } from 'node:net';

const lifeline = new Socket({ fd: 3 });
lifeline.on('close', () => process.kill(process.pid, 'SIGKILL'));
lifeline.on('error', () => {});
lifeline.resume();
lifeline.unref();
