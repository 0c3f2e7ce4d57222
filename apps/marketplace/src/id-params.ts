import { z } from 'zod';

/** The parameters of a route about one thing. */
export const idParams = z.strictObject({ id: z.uuid('must be a UUID') });
