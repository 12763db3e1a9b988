// node modern.mjs URL: walks through servers "a" and "b" (modern_server.mjs) with the SDK's client of 2026-07-28 and prints what
// it saw as one JSON object.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url] = process.argv.slice(2);
const seen = { told: [] };
const client = new Client(
  { name: 'suite', version: '1' },
  { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: 'auto' } },
);
client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { who: 'me' } }));
client.setNotificationHandler('notifications/tools/list_changed', () => void seen.told.push('tools'));
client.setNotificationHandler('notifications/resources/updated', (n) => void seen.told.push(n.params.uri));

async function outcome(promise) {
  try {
    return { ok: await promise };
  } catch (error) {
    return { code: error.code, message: String(error.message) };
  }
}

await client.connect(new StreamableHTTPClientTransport(new URL(url)));
seen.version = client.getNegotiatedProtocolVersion();
seen.capabilities = client.getServerCapabilities();
seen.instructions = client.getInstructions();
const list = await client.listTools();
seen.tools = list.tools.map((tool) => tool.name);
seen.hints = { ttlMs: list.ttlMs, cacheScope: list.cacheScope };
const call = (name, args) => outcome(client.callTool({ name, arguments: args }));
seen.echo = await call('b_echo', { words: 'Grüße' });
seen.region = await call('b_region', { region: 'Zürich' });
seen.ask = await call('a_ask', {});
seen.link = await call('a_link', {});
seen.unknown = await call('c_echo', {});
const { resources } = await client.listResources();
seen.resources = resources.map((resource) => resource.uri);
seen.read = await outcome(client.readResource({ uri: 'b+memo:1' }));
const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['b+memo:1'] });
seen.honored = subscription.honoredFilter;
await call('a_touch', {});
await call('b_touch', {});
for (let i = 0; i < 50 && seen.told.length < 3; i++) await new Promise((done) => setTimeout(done, 100));
await subscription.close();
seen.closed = await subscription.closed;
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);
