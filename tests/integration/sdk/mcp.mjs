// Walks through one MCP server with the official client and prints what it saw as one JSON object.
// node mcp.mjs URL [PREFIX]: the tools are server-everything's, their names start with PREFIX. A path /sse is spoken to as in
// 2024-11-05.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

const [url, prefix = ''] = process.argv.slice(2);
const seen = { logs: 0, updates: [], progress: [] };

async function outcome(promise) {
  try {
    return { ok: await promise };
  } catch (error) {
    return { code: error.code, message: String(error.message) };
  }
}

const old = new URL(url).pathname === '/sse';
const transport = old ? new SSEClientTransport(new URL(url)) : new StreamableHTTPClientTransport(new URL(url));
const client = new Client({ name: 'suite', version: '1' });
client.setNotificationHandler(LoggingMessageNotificationSchema, () => void seen.logs++);
client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => void seen.updates.push(n.params.uri));
await client.connect(transport);
seen.session = transport.sessionId ?? null;
seen.protocol = transport.protocolVersion ?? null;
seen.capabilities = client.getServerCapabilities();
seen.server = client.getServerVersion();
seen.instructions = client.getInstructions() ?? null;

const tools = await client.listTools();
seen.tools = tools.tools.map((tool) => tool.name);
seen.schema = tools.tools.find((tool) => tool.name === `${prefix}echo`)?.inputSchema ?? null;
seen.ping = await outcome(client.ping());

const call = (name, args, options) => outcome(client.callTool({ name: prefix + name, arguments: args }, undefined, options));
seen.echo = await call('echo', { message: 'Grüße "\\u0000" 🎉' });
seen.sum = await call('get-sum', { a: 2, b: 40 });
seen.image = await call('get-tiny-image', {});
seen.bad_arguments = await call('echo', {});
seen.no_such_tool = await call('no-such-tool', {});
seen.long = await call('trigger-long-running-operation', { duration: 0.4, steps: 4 }, {
  onprogress: (progress) => seen.progress.push(progress.progress),
});
seen.parallel = (await Promise.all(
  Array.from({ length: 20 }, (_, n) => call('echo', { message: `n${n}` })),
)).map((r) => r.ok?.content?.[0]?.text ?? r.message);

const resources = await client.listResources();
seen.resources = resources.resources.map((resource) => resource.uri);
seen.templates = (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
if (seen.resources.length) {
  const read = await outcome(client.readResource({ uri: seen.resources[0] }));
  seen.read = read.ok ? { uri: read.ok.contents[0].uri, length: read.ok.contents[0].text?.length ?? 0 } : read;
}
seen.no_such_resource = await outcome(client.readResource({ uri: 'nowhere://at/all' }));

seen.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
seen.prompt = await outcome(client.getPrompt({ name: `${prefix}args-prompt`, arguments: { city: 'Kyoto' } }));
seen.no_such_prompt = await outcome(client.getPrompt({ name: `${prefix}no-such-prompt` }));

if (!old) {
  seen.ended = await outcome(transport.terminateSession());
  seen.after_end = await outcome(client.ping());
}
await client.close();
console.log(JSON.stringify(seen));
