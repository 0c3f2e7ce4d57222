export { type Loop, type LoopOptions, repeating, type Runnable } from './loop.ts';
export { runUntilSignal, type RunOptions, startAll } from './run-until-signal.ts';
export { together } from './together.ts';
