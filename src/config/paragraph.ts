// Texts for terminals.

/** Wide enough for a terminal, narrow enough to read. */
const lineCharsMax = 100;

/** `text` in lines that all begin with `indent` spaces; the first may have something else in their place. */
export function paragraph(text: string, indent: number, first = ' '.repeat(indent)): string[] {
  const lines: string[] = [];
  let line = first.padEnd(indent);
  let isEmpty = true;
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > lineCharsMax) {
      lines.push(line);
      line = ' '.repeat(indent);
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}
