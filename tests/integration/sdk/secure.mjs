// Meets a protected MCP endpoint with the official client and prints what it saw as one JSON object.
// node secure.mjs URL TOKEN
import {
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
  selectResourceURL,
} from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, token] = process.argv.slice(2);
const seen = {};

async function outcome(promise) {
  try {
    return { ok: await promise };
  } catch (error) {
    return { code: error.code, message: String(error.message) };
  }
}

// As the client itself does when it is told to authorize.
const refused = await fetch(url, { method: 'POST', body: '{}' });
const { resourceMetadataUrl } = extractWWWAuthenticateParams(refused);
seen.status = refused.status;
seen.metadata = await discoverOAuthProtectedResourceMetadata(url, { resourceMetadataUrl });
seen.resource = String(await selectResourceURL(url, {}, seen.metadata));
seen.found = await discoverOAuthProtectedResourceMetadata(url); // by the well-known path alone

const stranger = new Client({ name: 'suite', version: '1' });
seen.stranger = await outcome(stranger.connect(new StreamableHTTPClientTransport(new URL(url))));

const headers = { Authorization: `Bearer ${token}` };
const client = new Client({ name: 'suite', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
seen.echo = await outcome(client.callTool({ name: 'echo', arguments: { message: 'hello' } }));
seen.hidden = await outcome(client.callTool({ name: 'get-sum', arguments: { a: 1, b: 2 } }));
await client.close();
console.log(JSON.stringify(seen));
