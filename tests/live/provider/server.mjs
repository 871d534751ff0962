// A certified OpenID provider on a free loopback port: `node server.mjs FOLDER`, where FOLDER has node_modules.
//
// It says `Ready <issuer>` once it listens, and ends when its standard input does. `POST /control` changes what
// it knows while it runs: see `control`; `GET /control` tells what it was asked for. The clients are below.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import * as pages from './pages.mjs';
import { Storage } from './storage.mjs';

const modules = createRequire(join(process.argv[2], 'package.json'));
const { Provider } = await import(pathToFileURL(modules.resolve('oidc-provider')));

const MAX_BODY_BYTES = 65536;
const CODE_GRANTS = [
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
];

// Method and path of every request but those to /control.
const requests = [];

const state = {
  redirectURIs: ['http://127.0.0.1/unused'],
  clientKeys: [newKey()].map(publicPart),
  clientSecret: process.env.CLIENT_SECRET,
  accounts: { ann: { groups: ['dev', 'ops'] }, bob: { groups: ['dev'] } },
  keys: [newKey()],
};

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

function publicPart({ kty, n, e, kid, alg, use }) {
  return { kty, n, e, kid, alg, use };
}

function clients() {
  const withCode = (method, more) => ({
    client_id: method,
    redirect_uris: state.redirectURIs,
    response_types: ['code'],
    grant_types: CODE_GRANTS,
    token_endpoint_auth_method: method,
    ...more,
  });
  return [
    withCode('client_secret_basic', { client_secret: state.clientSecret }),
    withCode('client_secret_post', { client_secret: state.clientSecret }),
    withCode('none'),
    withCode('private_key_jwt', { jwks: { keys: state.clientKeys } }),
    {
      client_id: 'implicit',
      redirect_uris: state.redirectURIs,
      response_types: ['id_token'],
      grant_types: ['implicit'],
      token_endpoint_auth_method: 'none',
    },
  ];
}

function configuration() {
  return {
    adapter: Storage,
    clients: clients(),
    jwks: { keys: state.keys },
    cookies: { keys: [state.clientSecret] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    // With the code flow email and groups are at the userinfo endpoint only, as OpenID Connect Core 5.4 has it.
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'offline_access', 'email', 'groups'],
    responseTypes: ['code', 'id_token'],
    findAccount: (_, id) => account(id),
    features: {
      devInteractions: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (ctx, form, _, error) => show(ctx, pages.userCodePage(form, error)),
        userCodeConfirmSource: (ctx, form, client, _, code) => show(
          ctx,
          pages.confirmCodePage(form, client.clientId, code),
        ),
        successSource: (ctx) => show(ctx, pages.devicePage()),
      },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    // Many providers hand out refresh tokens unasked; this one does too, and takes each of them once.
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    pkce: { required: () => true },
    renderError: (ctx, out) => show(ctx, pages.errorPage(out)),
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Grant: 3600,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
  };
}

function show(ctx, html) {
  ctx.type = 'html';
  ctx.body = html;
}

function account(id) {
  const known = Object.hasOwn(state.accounts, id) ? state.accounts[id] : undefined;
  const claims = { sub: id, email: `${id}@example.com`, email_verified: true, ...known };
  return known && { accountId: id, claims: () => claims };
}

// A provider's clients and keys are fixed when it is made. Its sessions, codes and tokens are in `Storage`, so
// that a new one goes on where the last one stopped.
function makeProvider(issuer) {
  const provider = new Provider(issuer, configuration());
  const schema = provider.Client.Schema.prototype;
  const { invalidate } = schema;
  schema.invalidate = function onLoopback(message, code) {
    if (code !== 'implicit-force-https' && code !== 'implicit-forbid-localhost') {
      invalidate.call(this, message, code);
    }
  };
  return provider;
}

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BODY_BYTES) throw new Error('too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

// `redirect_uris`, `client_keys` (of private_key_jwt), `accounts` (name to claims) replace what is known;
// `rotate` brings a new signing key: `keep` publishes the old ones as well, `drop` only the new one.
function control(wanted) {
  state.redirectURIs = wanted.redirect_uris ?? state.redirectURIs;
  state.clientKeys = wanted.client_keys ?? state.clientKeys;
  state.accounts = wanted.accounts ?? state.accounts;
  if (wanted.rotate) state.keys = [newKey(), ...(wanted.rotate === 'keep' ? state.keys : [])];
}

async function interact(request, response) {
  const [, , uid, step] = request.url.split('/');
  const { prompt, params, session, grantId } = await current.interactionDetails(request, response);
  const finish = (result) => current.interactionFinished(request, response, result);
  if (request.method === 'GET' && !step) {
    const html = prompt.name === 'login'
      ? pages.loginPage(uid)
      : pages.consentPage(uid, params.client_id, params.scope);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    return response.end(html);
  }
  if (request.method !== 'POST') return answer(response, 404);
  if (step === 'login') {
    const name = new URLSearchParams(await readBody(request)).get('account');
    return finish({ login: { accountId: name } });
  }
  if (step === 'abort') return finish({ error: 'access_denied', error_description: 'End-User said no' });
  const { accountId } = session;
  const grant = grantId
    ? await current.Grant.find(grantId)
    : new current.Grant({ accountId, clientId: params.client_id });
  const { missingOIDCScope = [], missingOIDCClaims = [] } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  grant.addOIDCClaims(missingOIDCClaims);
  return finish({ consent: { grantId: await grant.save() } });
}

function answer(response, status, text = '') {
  response.statusCode = status;
  response.end(text);
}

async function handle(request, response) {
  const [path] = request.url.split('?');
  if (path === '/control' && request.method === 'GET') {
    return answer(response, 200, JSON.stringify(requests));
  }
  if (path === '/control' && request.method === 'POST') {
    control(JSON.parse(await readBody(request)));
    current = makeProvider(issuer);
    callback = current.callback();
    return answer(response, 204);
  }
  requests.push(`${request.method} ${path}`);
  if (path.startsWith('/interaction/')) return interact(request, response);
  return callback(request, response);
}

let issuer;
let current;
let callback;
const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) answer(response, 500, error.message);
  });
});
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  current = makeProvider(issuer);
  callback = current.callback();
  console.log(`Ready ${issuer}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
