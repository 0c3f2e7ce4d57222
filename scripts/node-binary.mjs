// The project runs on Node 24, whatever Node started it: npm installs one as an ordinary package.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './commands.mjs';

const oldestMajor = 24;

/** The Node to run the project with. `known` is a path that was tried before; it is not tried again. */
export function nodeBinary(root, known) {
  const packaged = realPath(join(root, 'node_modules', '.bin', 'node'));
  if (packaged && (packaged === known || majorOf(packaged) >= oldestMajor)) return packaged;
  if (majorOfText(process.version) >= oldestMajor) return process.execPath;
  const place = `${process.platform}-${process.arch}`;
  throw new SetupError(
    `Node ${oldestMajor} or newer is needed: this is ${process.version}, and no packaged one runs on ${place}.`,
  );
}

const majorOf = (binary) => majorOfText(spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout ?? '');

const majorOfText = (version) => Number(/^v(\d+)\./.exec(version)?.[1] ?? 0);

function realPath(path) {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
