// Walks through one MCP server with the official client of the second generation, which answers what the server asks, and prints what
// it saw as one JSON object. node mcp2.mjs URL legacy|auto [PREFIX] [URI-PREFIX]: the tools are server-everything's.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, mode, prefix = '', uri_prefix = ''] = process.argv.slice(2);
const seen = { asked: [], progress: [], updated: [] };

async function outcome(promise) {
  try {
    return { ok: await promise };
  } catch (error) {
    return { code: error.code, message: String(error.message) };
  }
}

const capabilities = { sampling: {}, elicitation: {}, roots: { listChanged: true } };
const client = new Client({ name: 'suite', version: '2' }, { capabilities, versionNegotiation: { mode } });
client.setRequestHandler('sampling/createMessage', ({ params }) => {
  seen.asked.push(`sampling: ${params.messages[0].content.text}`);
  return { role: 'assistant', content: { type: 'text', text: 'from the model' }, model: 'm', stopReason: 'endTurn' };
});
client.setRequestHandler('elicitation/create', ({ params }) => {
  seen.asked.push(`elicitation: ${params.message}`);
  return { action: 'decline' };
});
client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///here', name: 'here' }] }));
client.setNotificationHandler('notifications/resources/updated', ({ params }) => void seen.updated.push(params.uri));

const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
seen.version = client.getNegotiatedProtocolVersion();
seen.capabilities = Object.keys(client.getServerCapabilities()).sort();

const text_of = (result) => result.ok?.content?.map((item) => item.text ?? item.type).join('\n') ?? result;
const call = async (name, args, options) => text_of(await outcome(client.callTool({ name: prefix + name, arguments: args }, options)));
seen.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
seen.echo = await call('echo', { message: 'Grüße "\\u0000" 🎉' });
seen.structured = (await outcome(client.callTool({ name: `${prefix}get-structured-content`, arguments: { location: 'Chicago' } }))).ok
  ?.structuredContent;
seen.sampled = await call('trigger-sampling-request', { prompt: 'who?' });
seen.elicited = await call('trigger-elicitation-request', {});
seen.roots = (await call('get-roots-list', {})).includes('file:///here');
seen.parallel = await Promise.all(Array.from({ length: 20 }, (_, n) => call('get-sum', { a: n, b: 1 })));
seen.long = await call('trigger-long-running-operation', { duration: 0.4, steps: 4 }, { onprogress: (p) => seen.progress.push(p.progress) });

const gone = new AbortController();
const slow = call('trigger-long-running-operation', { duration: 20, steps: 1 }, { signal: gone.signal });
setTimeout(() => gone.abort('enough'), 200);
seen.cancelled = typeof (await slow).message === 'string';

const resources = (await client.listResources()).resources.map((resource) => resource.uri);
seen.resources = resources.length;
const mine = resources.find((uri) => uri.startsWith(uri_prefix));
seen.read = (await client.readResource({ uri: mine })).contents.map(({ uri, text }) => [uri === mine, text?.length]);
seen.links = (await outcome(client.callTool({ name: `${prefix}get-resource-links`, arguments: { count: 2 } }))).ok?.content
  .filter((item) => item.type === 'resource_link')
  .map((item) => item.uri.startsWith(uri_prefix));
seen.prompt = (await outcome(client.getPrompt({ name: `${prefix}args-prompt`, arguments: { city: 'Kyoto' } }))).ok?.messages;
const ref = { type: 'ref/prompt', name: `${prefix}completable-prompt` };
seen.completion = (await outcome(client.complete({ ref, argument: { name: 'department', value: 'E' } }))).ok?.completion;
seen.no_such_tool = (await outcome(client.callTool({ name: `${prefix}no-such-tool`, arguments: {} }))).code ?? 'result';
await client.subscribeResource({ uri: mine });
await client.unsubscribeResource({ uri: mine });
await client.setLoggingLevel('error');
seen.ping = await outcome(client.ping());
seen.ended = await outcome(transport.terminateSession());
await client.close();
console.log(JSON.stringify(seen));
