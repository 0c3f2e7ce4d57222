import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Collects all garbage of this process now. V8 lets the heap of a busy process grow to three times what lives in it before it looks at all of
 * it: measured with exports, 340 MB resident in place of 265, for 2 % of their time.
 */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
