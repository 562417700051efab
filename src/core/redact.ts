/**
 * Takes secrets out of what people get to see: texts, errors. A template may have put them through its functions first,
 * so not only the values themselves are looked for.
 */
import type { Json } from './json.ts';
import { isObject } from './json.ts';
import { PoolhouseError, type ErrorBody } from './errors.ts';

/** Shorter values would hide ordinary words; Azure's shortest password has 6 characters. */
const shortestSecret = 6;

/**
 * The secrets, and how JSON, URLs, base64 and changes of case write them; the longest first, for one may be part of
 * another. In base64 a text looks different at each of three places, and its ends depend on what stands beside it: only
 * what is always the same is looked for.
 */
export function secretForms(secrets: Iterable<string>): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < shortestSecret) continue;
    const bytes = Buffer.from(secret, 'utf8');
    const base64 = [0, 1, 2].map((before) => {
      const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
      return text.slice([0, 2, 3][before], Math.floor(((before + bytes.length) * 8) / 6));
    });
    for (const form of [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      secret.toLowerCase(),
      secret.toUpperCase(),
      ...base64,
    ])
      if (form.length >= shortestSecret) forms.add(form);
  }
  return [...forms].sort((a, b) => b.length - a.length);
}

/** The text with `***` in place of every secret. */
export function redact(text: string, secrets: Iterable<string>): string {
  return redactForms(text, secretForms(secrets));
}

const redactForms = (text: string, forms: readonly string[]) =>
  forms.reduce((shown, form) => shown.replaceAll(form, '***'), text);

/** The same for the end of a longer text: a secret that the cut went through is a secret too. */
export function redactEnd(text: string, secrets: Iterable<string>): string {
  const forms = secretForms(secrets);
  // A character of several bytes may have been cut as well.
  const whole = text.replace(/^\uFFFD+/, '');
  const rests = forms.map((form) => {
    for (let length = form.length - 1; length > 0; length -= 1)
      if (whole.startsWith(form.slice(-length))) return length;
    return 0;
  });
  return redactForms(whole.slice(Math.max(0, ...rests)), forms);
}

/** The value with `***` in place of every secret in its strings. */
export function redactJson(value: Json, secrets: Iterable<string>): Json {
  const forms = secretForms(secrets);
  const walk = (inner: Json): Json => {
    if (typeof inner === 'string') return redactForms(inner, forms);
    if (Array.isArray(inner)) return inner.map(walk);
    if (!isObject(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).map(([name, part]) => [redactForms(name, forms), walk(part)]));
  };
  return walk(value);
}

/**
 * The error as it may be shown and logged. One of ours that holds a secret is made anew, without its cause, which may
 * hold it too; anything else stays what it is.
 */
export function redactError(error: unknown, secrets: Iterable<string>): unknown {
  if (!(error instanceof PoolhouseError)) return error;
  const values = [...secrets];
  const before = error.toBody();
  const text = JSON.stringify(before);
  const shown = redactJson(JSON.parse(text) as Json, values) as unknown as ErrorBody; // the walk keeps the shape
  if (JSON.stringify(shown) === text) return error;
  return new PoolhouseError(error.code, shown.message, {
    ...(shown.target === undefined ? {} : { target: shown.target }),
    ...(shown.details === undefined ? {} : { details: shown.details }),
    ...(shown.additionalInfo === undefined ? {} : { additionalInfo: shown.additionalInfo }),
    retryable: error.retryable,
  });
}
