/** What the JupyterHub of the image believes: our assertions, for its own machine, in time, and once. */
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { signAssertion } from './assertion.ts';

const isReady = spawnSync('/usr/bin/python3', ['-c', 'import jwt, cryptography']).status === 0;
const folder = join(import.meta.dirname, '../../../images/recipes/datascience/files');

/** The image's own file, with the packages around it left out. */
const program = `
import json, sys, types
for name in "jupyterhub jupyterhub.auth jupyterhub.handlers jupyterhub.utils tornado traitlets".split():
    sys.modules[name] = types.ModuleType(name)
sys.modules["jupyterhub.auth"].Authenticator = object
sys.modules["jupyterhub.handlers"].BaseHandler = object
sys.modules["jupyterhub.utils"].url_path_join = None
sys.modules["tornado"].web = None
sys.modules["traitlets"].Unicode = lambda **_: ""
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import poolhouse_authenticator
asked = json.load(sys.stdin)
believed = poolhouse_authenticator.Assertions(asked["key"], "i-0", began=asked["began"])
print(json.dumps([believed.user_of(text) for text in asked["texts"]]))
`;

const pem = (key: KeyObject, type: 'spki' | 'pkcs8') => key.export({ type, format: 'pem' }) as string; // PEM is text
const keys = generateKeyPairSync('ed25519');
const key = pem(keys.privateKey, 'pkcs8');

function believedBy(texts: string[], began = Date.now() / 1000 - 60): (string | null)[] {
  const input = JSON.stringify({ key: pem(keys.publicKey, 'spki'), began, texts });
  return JSON.parse(execFileSync('/usr/bin/python3', ['-c', program, folder], { input, encoding: 'utf8' })) as (
    string | null
  )[];
}

describe.skipIf(!isReady)(`the JupyterHub of the image${isReady ? '' : ' (left out: python3 has no jwt here)'}`, () => {
  it('believes an assertion once', async () => {
    const [one, two] = [
      await signAssertion(key, 'i-0', 'alice', Date.now()),
      await signAssertion(key, 'i-0', 'bob', Date.now()),
    ];
    expect(believedBy([one, one, two, two])).toEqual(['alice', null, 'bob', null]);
  });

  it('believes none from before it began: it may have been used', async () => {
    const old = await signAssertion(key, 'i-0', 'alice', Date.now() - 2_000);
    expect(believedBy([old], Date.now() / 1000 - 1)).toEqual([null]);
  });

  it('believes nothing else', async () => {
    const now = Date.now();
    const another = pem(generateKeyPairSync('ed25519').privateKey, 'pkcs8');
    const forged = async (claims: Record<string, unknown>, alg = 'EdDSA') =>
      new SignJWT({ aud: 'i-0', sub: 'alice', iat: now / 1000, exp: now / 1000 + 30, jti: 'x'.repeat(20), ...claims })
        .setProtectedHeader({ alg })
        .sign(alg === 'HS256' ? Buffer.from(pem(keys.publicKey, 'spki')) : keys.privateKey);
    const texts = [
      await signAssertion(another, 'i-0', 'alice', now),
      await signAssertion(key, 'i-1', 'alice', now),
      await signAssertion(key, 'i-0', 'alice', now - 40_000),
      await signAssertion(key, 'i-0', '../alice', now),
      await forged({}, 'HS256'),
      await forged({ exp: now / 1000 + 3_600 }),
      await forged({ exp: undefined }),
      await forged({ jti: undefined }),
      await forged({ jti: 7 }),
      await forged({ sub: undefined }),
      await forged({ iat: undefined }),
      'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.',
      '',
    ];
    expect(believedBy(texts)).toEqual(texts.map(() => null));
    expect(believedBy([await forged({})])).toEqual(['alice']);
  });
});
