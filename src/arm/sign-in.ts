/**
 * Sign-in as az does it against an endpoint of its own: the cloud's metadata, OpenID documents, and tokens for the
 * installation's service principal. The login endpoint ends in `/adfs`: then the sign-in library asks nobody else.
 */
import type { FastifyInstance } from 'fastify';
import type { Tokens } from './tokens.ts';

export interface SignInParts {
  tokens: Tokens;
  url: string;
  tenantId: string;
}

export function registerSignIn(app: FastifyInstance, parts: SignInParts): void {
  const { url, tokens, tenantId } = parts;
  const audience = 'https://management.poolhouse.internal/';
  const issuer = `${url}/adfs`;

  app.get('/metadata/endpoints', () => ({
    galleryEndpoint: `${url}/`,
    graphEndpoint: `${url}/graph/`,
    portalEndpoint: `${url}/`,
    authentication: { loginEndpoint: `${url}/adfs`, audiences: [audience], tenant: tenantId, identityProvider: 'ADFS' },
    suffixes: { storage: 'core.windows.net' },
  }));

  const openId = () => ({
    issuer,
    authorization_endpoint: `${url}/adfs/oauth2/authorize`,
    token_endpoint: `${url}/adfs/oauth2/token`,
    jwks_uri: `${url}/adfs/discovery/keys`,
    response_types_supported: ['token'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  });
  // The library doubles the tenant: both are asked for.
  app.get('/adfs/.well-known/openid-configuration', openId);
  app.get('/adfs/adfs/.well-known/openid-configuration', openId);
  app.get('/adfs/discovery/keys', () => ({ keys: [] }));

  app.post('/adfs/oauth2/token', async (request, reply) => {
    const form = new URLSearchParams(typeof request.body === 'string' ? request.body : '');
    const refuse = (code: string, description: string) =>
      reply.code(code === 'invalid_client' ? 401 : 400).send({ error: code, error_description: description });
    if (form.get('grant_type') !== 'client_credentials') {
      return refuse(
        'unsupported_grant_type',
        'AADSTS70003: Only service principals can sign in here (client_credentials).',
      );
    }
    const issued = await tokens.issue(form.get('client_id') ?? '', form.get('client_secret') ?? '', issuer);
    if (issued === undefined)
      return refuse(
        'invalid_client',
        'AADSTS7000215: Invalid client id or secret provided. `poolhouse az-env` signs in with the right ones.',
      );
    return {
      token_type: 'Bearer',
      access_token: issued.token,
      expires_in: issued.expiresIn,
      resource: form.get('resource') ?? audience,
    };
  });
}
