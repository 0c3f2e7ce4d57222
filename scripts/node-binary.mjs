// The project runs on Node 24, whatever Node started it: npm installs one as an ordinary package.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { SetupError } from './commands.mjs';

const oldestMajor = 24;

/** The Node to run the project with. `known` is a path that was tried before; it is not tried again. */
export function nodeBinary(root, known) {
  const packaged = packagedNode(root);
  if (packaged && (packaged === known || majorOf(packaged) >= oldestMajor)) return packaged;
  if (majorOfText(process.version) >= oldestMajor) return process.execPath;
  const place = `${process.platform}-${process.arch}`;
  throw new SetupError(
    `Node ${oldestMajor} or newer is needed: this is ${process.version}, and no packaged one runs on ${place}.`,
  );
}

const majorOf = (binary) => majorOfText(spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout ?? '');

const majorOfText = (version) => Number(/^v(\d+)\./.exec(version)?.[1] ?? 0);

function packagedNode(root) {
  const path = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  return existsSync(path) ? realpathSync(path) : undefined;
}

/**
 * Puts the packaged Node into node_modules/.bin where npm did not: npm 10.9 leaves the link out when the packages of
 * other platforms, which offer the same name, are not installed. npm 11 makes it.
 */
export function linkNode(root) {
  const packaged = packagedNode(root);
  const link = join(root, 'node_modules', '.bin', 'node');
  if (packaged === undefined || existsSync(link)) return;
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true }); // one that points nowhere
  symlinkSync(relative(realpathSync(dirname(link)), packaged), link);
}
