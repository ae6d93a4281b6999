// Texts that others sent, in a form that may stand in errors and logs, which people read on terminals.

/**
 * Control characters, which steer terminals, and those that turn the direction of writing or cannot be seen. Line breaks
 * and tabs are harmless there.
 */
const steering = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu;
const harmless: ReadonlySet<string> = new Set(['\n', '\t']);

/** Longer than any reason that people write, and what a server of ours sends at most. */
const lengthMaxDefault = 2_048;

/** `text` with what steers written as `\u001b`, and at most `lengthMax` characters of it and dots. */
export function peerText(text: string, lengthMax: number = lengthMaxDefault): string {
  const cut = text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}...`;
  return cut.toWellFormed().replace(steering, (character) => (harmless.has(character) ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`));
}
