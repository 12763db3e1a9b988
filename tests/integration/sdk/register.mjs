// Has the official client find its authorization server through the gateway, register and begin to authorize.
// node register.mjs URL
import { auth, discoverOAuthProtectedResourceMetadata } from '@modelcontextprotocol/sdk/client/auth.js';

const [url] = process.argv.slice(2);
const seen = { servers: (await discoverOAuthProtectedResourceMetadata(url)).authorization_servers };

const provider = {
  redirectUrl: 'http://127.0.0.1:1/callback',
  clientMetadata: { client_name: 'suite', redirect_uris: ['http://127.0.0.1:1/callback'] },
  clientInformation: () => provider.client,
  saveClientInformation(client) {
    provider.client = client;
    seen.client = client.client_id;
  },
  tokens: () => undefined,
  saveTokens() {},
  redirectToAuthorization(to) {
    seen.authorize = String(to);
  },
  saveCodeVerifier() {},
  codeVerifier: () => '',
  validateResourceURL: async () => undefined,
};
seen.result = await auth(provider, { serverUrl: url });
const { discoverAuthorizationServerMetadata } = await import('@modelcontextprotocol/sdk/client/auth.js');
seen.token_endpoint = (await discoverAuthorizationServerMetadata(seen.servers[0])).token_endpoint;
console.log(JSON.stringify(seen));
