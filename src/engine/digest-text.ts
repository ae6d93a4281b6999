// What a digest is called in the log.
import { digestFunctionNumbered } from '../digest/digest-function.ts';

/** Function and hash; `hex` may be longer than a hash of the function, or only begin with what it has. */
export function digestText(functionNumber: number, hex: string): string {
  const digestFunction = digestFunctionNumbered(functionNumber);
  return `${digestFunction?.name ?? functionNumber}/${hex.slice(0, digestFunction?.hexLength)}`;
}
