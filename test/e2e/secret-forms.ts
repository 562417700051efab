/** What a secret looks like where somebody was careless: written in any of the ways in which texts are carried. */

/** Every form in which a search looks for it; what is too short to mean anything is left out. */
export function searchedForms(secret: string | Buffer): Buffer[] {
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
  const escaped = (text: string) => JSON.stringify(text).slice(1, -1);
  const texts =
    typeof secret === 'string'
      ? [secret, escaped(secret), escaped(escaped(secret)), encodeURIComponent(secret), encodeURI(secret)]
      : [];
  // Base64 differs at three places, and its ends depend on the neighbours: what is always the same is looked for.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return text.slice([0, 2, 3][shift], Math.floor(((shift + bytes.length) * 8) / 6));
  });
  const all = [
    ...texts,
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
  ].map((text) => Buffer.from(text));
  return [...new Map([bytes, ...all].map((form) => [form.toString('latin1'), form])).values()].filter(
    (form) => form.length >= 8,
  );
}

/** The names of those secrets that stand in the text, in whatever form. */
export function foundIn(text: Buffer, secrets: ReadonlyMap<string, readonly Buffer[]>): string[] {
  return [...secrets].filter(([, forms]) => forms.some((form) => text.includes(form))).map(([name]) => name);
}
