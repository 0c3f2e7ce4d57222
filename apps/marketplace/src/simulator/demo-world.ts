import type { App } from '../app.ts';

/** Fills an empty database with a small world to look at. */
export async function seedDemoWorld(_app: App): Promise<void> {}
