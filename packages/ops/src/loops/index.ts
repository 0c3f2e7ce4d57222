export { type Loop, type LoopOptions, repeating, type Runnable } from './loop.ts';
export { together } from './together.ts';
