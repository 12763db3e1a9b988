// node openapi.mjs URL: an HTTP API behind the gateway (test_mcp_openapi.py), seen by the official client of each era; what they
// saw as one JSON object.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

async function walk(client, transport) {
  await client.connect(transport);
  const { tools } = await client.listTools();
  const got = await client.callTool({ name: 'getPet', arguments: { path: { id: 'a b' }, query: { fields: ['x'] } } });
  const missing = await client.callTool({ name: 'missing', arguments: {} });
  const seen = { tools: tools.map((tool) => tool.name), got, missing, server: client.getServerVersion(), instructions: client.getInstructions() };
  await client.close();
  return seen;
}

const url = new URL(process.argv[2]);
const modern = { versionNegotiation: { mode: { pin: '2026-07-28' } } };
console.log(JSON.stringify({
  modern: await walk(new Client({ name: 'suite', version: '2' }, modern), new StreamableHTTPClientTransport(url)),
  old: await walk(new OldClient({ name: 'suite', version: '1' }), new OldTransport(url)),
}));
process.exit(0);
