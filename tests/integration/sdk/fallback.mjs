// node fallback.mjs URL: the SDK's client of 2026-07-28 that may go back to older revisions; prints what it came to as JSON.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const client = new Client({ name: 'suite', version: '1' }, { versionNegotiation: { mode: 'auto' } });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
const { tools } = await client.listTools();
const first = tools[0].name;
const { content } = await client.callTool({ name: first, arguments: {} });
console.log(JSON.stringify({ version: client.getNegotiatedProtocolVersion(), tools: tools.map((tool) => tool.name), content }));
await client.close();
process.exit(0);
