// Running other programs, for the scripts beside this file.
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A fault that is the reader's to mend: its message is printed alone, without a stack. */
export class SetupError extends Error {}

/** Runs to the end, keeping the output. Resolves with `{ code, output }`; `code` is 127 when the program cannot be started. */
export function capture(file, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

const killAfterMs = 15_000;

/**
 * Runs to the end with our own terminal. Resolves with the exit code, 128 and more for a signal. After `withinMs`,
 * where given, the program is asked to end, and 15 s later made to.
 */
export function run(file, args, { withinMs, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: 'inherit', ...options });
    const timers = withinMs === undefined ? [] : endAfter(child, withinMs, file);
    child.on('error', (error) => {
      console.error(`${file}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      timers.forEach(clearTimeout);
      resolve(code ?? exitCodeOf(signal));
    });
  });
}

function endAfter(child, withinMs, file) {
  const ask = () => {
    console.error(`${file} did not end within ${withinMs / 60_000} minutes`);
    child.kill('SIGTERM');
  };
  return [setTimeout(ask, withinMs), setTimeout(() => child.kill('SIGKILL'), withinMs + killAfterMs)];
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

export const exitCodeOf = (signal) => 128 + (signalNumbers[signal] ?? 0);

/** The full path of a program, or undefined. System folders are searched too: a plain user's PATH often lacks sbin. */
export function findProgram(name, path = process.env.PATH ?? '') {
  const folders = [...path.split(delimiter), '/usr/local/bin', '/usr/bin', '/usr/sbin', '/sbin', '/opt/homebrew/bin'];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export const seconds = (sinceMs) => `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
