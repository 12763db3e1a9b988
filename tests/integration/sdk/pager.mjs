// node pager.mjs PORT NAME SEED: an MCP server on 127.0.0.1 whose lists come in pages of random sizes, some of them empty, with
// cursors that are hard to carry. The seed decides what there is; no two walks see the same pages.
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as types from '@modelcontextprotocol/sdk/types.js';

const [port, name, seed] = process.argv.slice(2);
const NAMES = ['plain', 'with_underscore', '_first', 'UPPER.dot-dash', 'agw_x_n_1'];
const JUNK = ['', '"quoted\\"', 'grüße 🎉', '\u0000\n', 'p0.1', '='.repeat(50)];
let state = Number(seed);

function random(below) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % below;
}

const many = (make) => Array.from({ length: random(12) }, (_, n) => make(n));
const lists = {
  tools: many((n) => ({
    name: `${name}-${NAMES[n % NAMES.length]}-${n}`,
    description: JUNK[n % JUNK.length],
    inputSchema: { type: 'object', properties: { n: { const: n } } },
  })),
  prompts: many((n) => ({ name: `${name}-${NAMES[n % NAMES.length]}-${n}`, arguments: [{ name: JUNK[2], required: n % 2 === 0 }] })),
  resources: many((n) => ({ uri: n % 3 ? `mem://${name}/${n}?a+b=${n}` : `ui://${name}/${n}`, name: JUNK[n % JUNK.length] || 'x' })),
  resourceTemplates: many((n) => ({ uriTemplate: `mem://${name}/{id}/${n}`, name: 'template' })),
};

function page(key, cursor) {
  const at = cursor === undefined ? 0 : JSON.parse(cursor).at;
  const end = at + Math.floor(Math.random() * 5);
  const items = lists[key].slice(at, end);
  const next = JSON.stringify({ at: end, junk: JUNK[Math.floor(Math.random() * JUNK.length)] });
  return { [key]: items, ...(end < lists[key].length ? { nextCursor: next } : {}) };
}

createServer(async (request, response) => {
  const capabilities = { tools: {}, prompts: {}, resources: {} };
  const server = new Server({ name, version: '1' }, { capabilities });
  const on = (schema, key) => server.setRequestHandler(schema, ({ params }) => page(key, params?.cursor));
  on(types.ListToolsRequestSchema, 'tools');
  on(types.ListPromptsRequestSchema, 'prompts');
  on(types.ListResourcesRequestSchema, 'resources');
  on(types.ListResourceTemplatesRequestSchema, 'resourceTemplates');
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await server.connect(transport);
  await transport.handleRequest(request, response);
}).listen(Number(port), '127.0.0.1');
