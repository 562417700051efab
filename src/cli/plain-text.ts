/**
 * A text for a terminal. What instances say is written by strangers: their control characters could move the cursor,
 * hide lines, or answer for the person; so they are shown, not obeyed. Pure.
 */
export function plainText(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (found) =>
    found === '\r' ? '' : `\\x${found.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** The same on one line, for cells of tables. Pure. */
export function plainLine(text: string): string {
  return plainText(text.replace(/\s+/g, ' '));
}
