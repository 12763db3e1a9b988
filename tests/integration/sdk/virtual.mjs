// node virtual.mjs URL legacy|auto: finds a tool of server-everything by search and calls it in both ways, with the official client,
// which checks structured answers against the schemas of the list; prints what it saw as one JSON object.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, mode] = process.argv.slice(2);
const client = new Client({ name: 'suite', version: '1' }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const seen = { version: client.getNegotiatedProtocolVersion() };
const call = async (name, args) => client.callTool({ name, arguments: args });
const text_of = (result) => result.content[0].text;

seen.listed = (await client.listTools()).tools.map((tool) => tool.name);
seen.said = text_of(await call('say', { message: 'hello' }));
seen.found = (await call('search_tools', { query: 'the sum of two numbers', limit: 1 })).structuredContent.tools;
const { name } = seen.found[0];
seen.direct = text_of(await call(name, { a: 1, b: 2 }));
seen.called = text_of(await call('call_tool', { name, arguments: { a: 3, b: 4 } }));
seen.unknown = await call('call_tool', { name: 'echo', arguments: { message: 'x' } }).then(
  () => 'an answer',
  (error) => error.code,
);
await client.close();
console.log(JSON.stringify(seen));
