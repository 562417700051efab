import { describe, expect, it } from 'vitest';
import { PoolhouseError } from './errors.ts';
import { redact, redactEnd, redactError, redactJson, secretForms } from './redact.ts';

const secret = 'Hush "Hush" & Co.';

describe('redact', () => {
  it.each([
    ['as it is', secret],
    ['in JSON', JSON.stringify({ secret })],
    ['in a URL', `https://x/?p=${encodeURIComponent(secret)}`],
    ['in other case', secret.toUpperCase()],
    ...['', 'u', 'us', 'user:'].flatMap((before): [string, string][] =>
      ['', '!', '!!'].map((after) => [
        `in base64 behind ${before.length} and before ${after.length}`,
        Buffer.from(`${before}${secret}${after}`).toString('base64'),
      ]),
    ),
  ])('takes a secret out %s', (_, text) => {
    const shown = redact(`a ${text} b`, [secret]);
    expect(shown).toMatch(/^a .*\*\*\*.* b$/);
    expect(shown).not.toMatch(/Hush|HUSH/);
    // Of base64 no more is left than what its neighbours share with it.
    const decoded = Buffer.from(shown.replaceAll('***', ''), 'base64').toString('latin1');
    expect(decoded).not.toMatch(/Hush|ush "/);
  });

  it('leaves words that are too short to be secrets, and takes the longer of two first', () => {
    expect(redact('a short word', ['short'])).toBe('a short word');
    expect(redact('password-and-more', ['password', 'password-and-more'])).toBe('***');
    expect(secretForms(['abc'])).toEqual([]);
  });

  it('looks into documents, names of members too', () => {
    expect(redactJson({ [secret]: [`<${secret}>`, 1, null] }, [secret])).toEqual({ '***': ['<***>', 1, null] });
  });
});

describe('redactEnd', () => {
  it.each([
    ['a secret that was cut', `h" & Co. and more`, ' and more'],
    ['a character that was cut', `\uFFFDush "Hush" & Co.!`, '!'],
    ['nothing of a secret', 'all is well', 'all is well'],
    ['a whole one behind it', `Co. then ${secret}`, ' then ***'],
  ])('takes out %s', (_, text, shown) => {
    expect(redactEnd(text, [secret])).toBe(shown);
  });
});

describe('redactError', () => {
  it('makes an error of ours anew that holds a secret, and drops its cause', () => {
    const error = new PoolhouseError('InvalidTemplate', `'${secret}' is no number`, {
      target: secret,
      details: [{ code: 'Conflict', message: `no ${secret}` }],
      additionalInfo: [{ info: { path: secret } }],
      cause: new Error(secret),
      retryable: true,
    });
    const shown = redactError(error, [secret]) as PoolhouseError;
    expect(shown).toMatchObject({ code: 'InvalidTemplate', message: `'***' is no number`, retryable: true });
    expect(JSON.stringify(shown.toBody()) + String(shown.stack) + String(shown.cause)).not.toContain('Hush');
  });

  it('leaves every other error as it is', () => {
    const ours = new PoolhouseError('Conflict', 'taken');
    const defect = new TypeError(secret);
    expect(redactError(ours, [secret])).toBe(ours);
    expect(redactError(defect, [secret])).toBe(defect);
  });
});
