import { describe, expect, it } from 'vitest';
import { createTokens } from './tokens.ts';

function open() {
  const clock = { at: Date.UTC(2026, 0, 1), now: () => clock.at, sleep: () => Promise.resolve() };
  const principal = { tenantId: 't', clientId: 'client', secretFits: (secret: string) => secret === 'right' };
  const keys = [new Uint8Array(32).fill(7)];
  return { clock, keys, tokens: createTokens(() => keys, principal, clock) };
}
const bearer = (token: string | undefined) => `Bearer ${token ?? ''}`;

describe('tokens', () => {
  it('let in who has the secret, for an hour', async () => {
    const { clock, tokens } = open();
    const issued = await tokens.issue('CLIENT', 'right', 'https://us');
    expect(await tokens.verify(bearer(issued?.token))).toBe('client');
    clock.at += 3_601_000;
    await expect(tokens.verify(bearer(issued?.token))).rejects.toMatchObject({ code: 'AuthenticationFailed' });
  });

  it('are good while their key is among the keys', async () => {
    const { keys, tokens } = open();
    const issued = await tokens.issue('client', 'right', 'https://us');
    keys.unshift(new Uint8Array(32).fill(8));
    await tokens.verify(bearer(issued?.token));
    keys.pop();
    await expect(tokens.verify(bearer(issued?.token))).rejects.toMatchObject({ code: 'AuthenticationFailed' });
    await tokens.verify(bearer((await tokens.issue('client', 'right', 'https://us'))?.token));
  });

  it.each([undefined, '', 'Bearer', 'Bearer x.y.z', 'Basic YTpi'])('refuse the header %s', async (header) => {
    await expect(open().tokens.verify(header)).rejects.toMatchObject({ code: 'AuthenticationFailed' });
  });

  it('of another key, or of none, are refused', async () => {
    const { tokens } = open();
    const other = createTokens(
      () => [new Uint8Array(32)],
      { tenantId: 't', clientId: 'c', secretFits: () => true },
      open().clock,
    );
    const foreign = await other.issue('c', 'x', 'https://us');
    await expect(tokens.verify(bearer(foreign?.token))).rejects.toMatchObject({ code: 'AuthenticationFailed' });
    const payload = foreign?.token.split('.')[1] ?? '';
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    await expect(tokens.verify(bearer(unsigned))).rejects.toMatchObject({ code: 'AuthenticationFailed' });
  });

  it('are refused to guessers, who keep nobody else out', async () => {
    const { tokens } = open();
    for (let attempt = 1; attempt < 20; attempt += 1)
      expect(await tokens.issue('client', 'wrong', 'https://us')).toBeUndefined();
    await expect(tokens.issue('client', 'wrong', 'https://us')).rejects.toMatchObject({ code: 'TooManyRequests' });
    expect(await tokens.issue('client', 'right', 'https://us')).toBeDefined();
  });
});
