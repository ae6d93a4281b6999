// What a program was started with. Passed in: nothing in this folder looks at the real one.

export interface StartContext {
  /** After the command's name. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** As in `process.platform`. */
  readonly platform: string;
}
