// node modern_server.mjs PORT NAME [legacy]: a server of 2026-07-28 by the SDK's second generation; with legacy it also serves
// clients with sessions of old.
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Server, createMcpHandler } from '@modelcontextprotocol/server';

const [port, name, legacy] = process.argv.slice(2);
const text = (words) => ({ content: [{ type: 'text', text: words }] });
const schema = { type: 'object', properties: { words: { type: 'string' } } };
const region = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } }, required: ['region'] };
const question = {
  method: 'elicitation/create',
  params: { mode: 'form', message: 'Who?', requestedSchema: { type: 'object', properties: { who: { type: 'string' } }, required: ['who'] } },
};

const tools = {
  echo: [schema, ({ words }) => text(`${name}: ${words}`)],
  region: [region, (args) => text(`${name}: ${args.region}`)],
  ask: [schema, (args, said) => (said?.who ? text(`${name}: ${said.who.content.who}`) : { resultType: 'input_required', inputRequests: { who: question } })],
  link: [schema, () => ({ content: [{ type: 'resource_link', uri: 'memo:1', name: 'memo' }] })],
  touch: [
    schema,
    () => {
      handler.notify.toolsChanged();
      handler.notify.resourceUpdated('memo:1');
      return text('touched');
    },
  ],
};

function build() {
  const server = new Server(
    { name, version: '1.0.0' },
    {
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      instructions: `I am ${name}.`,
    },
  );
  const list = Object.entries(tools).map(([tool, [inputSchema]]) => ({ name: tool, inputSchema }));
  server.setRequestHandler('tools/list', () => ({ tools: list, ttlMs: 5000, cacheScope: name === 'a' ? 'private' : 'public' }));
  server.setRequestHandler('tools/call', ({ params }, { mcpReq }) => tools[params.name][1](params.arguments ?? {}, mcpReq.inputResponses));
  server.setRequestHandler('resources/list', () => ({ resources: [{ uri: 'memo:1', name: 'memo' }] }));
  server.setRequestHandler('resources/read', ({ params }) => ({ contents: [{ uri: params.uri, text: `memo of ${name}` }] }));
  return server;
}

const handler = createMcpHandler(build, legacy ? {} : { legacy: 'reject' });
createServer(toNodeHandler(handler)).listen(Number(port), '127.0.0.1');
