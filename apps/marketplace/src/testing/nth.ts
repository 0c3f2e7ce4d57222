/** The item at a place which the test knows to be filled; throws when it is not. */
export function nth<T>(items: Iterable<T>, at: number): T {
  const list = [...items];
  if (at >= list.length) throw new RangeError(`asked for item ${at} of ${list.length}`);
  return list[at] as T;
}

/** What the test knows to be there; throws when it is not. */
export function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new TypeError('asked for what is not there');
  return value;
}
