// node live.mjs serve OLD NEW: a server with sessions (SDK of the first generation) on port OLD, one of 2026-07-28 on NEW.
// node live.mjs walk URL: clients of both eras at a gateway that has them as targets "old" and "new"; what they heard, as JSON.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Server as OldServer } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as old from '@modelcontextprotocol/sdk/types.js';
import { Server, createMcpHandler } from '@modelcontextprotocol/server';

const text = (words) => ({ content: [{ type: 'text', text: words }] });
const names = ['touch', 'log', 'wait', 'stopped'];
const list = names.map((name) => ({ name, inputSchema: { type: 'object' } }));
const capabilities = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} };

/* What both servers do; |log| and |signal| are of the request. */
function makeTools(changed, updated) {
  let stopped = 0;
  return {
    touch: async () => (await changed(), await updated('memo:1'), await updated('memo:2'), text('touched')),
    log: async (log) => (await log('debug'), await log('error'), text('logged')),
    wait: (log, signal) => new Promise((resolve) => signal.addEventListener('abort', () => (stopped++, resolve(text('late'))))),
    stopped: async () => text(`${stopped}`),
  };
}

function serveOld(port) {
  const sessions = new Map();
  const each = (tell) => Promise.all([...sessions.values()].map(({ server, uris }) => tell(server, uris)));
  const tools = makeTools(
    () => each((server) => server.sendToolListChanged()),
    (uri) => each((server, uris) => uris.has(uri) && server.sendResourceUpdated({ uri })),
  );
  function open() {
    const server = new OldServer({ name: 'old', version: '1' }, { capabilities });
    const uris = new Set();
    let level = 'emergency';
    const log = (extra) => (at) =>
      (at === 'error' || level === 'debug') && extra.sendNotification({ method: 'notifications/message', params: { level: at, data: at } });
    server.setRequestHandler(old.ListToolsRequestSchema, () => ({ tools: list }));
    server.setRequestHandler(old.CallToolRequestSchema, ({ params }, extra) => tools[params.name](log(extra), extra.signal));
    server.setRequestHandler(old.SubscribeRequestSchema, ({ params }) => (uris.add(params.uri), {}));
    server.setRequestHandler(old.UnsubscribeRequestSchema, ({ params }) => (uris.delete(params.uri), {}));
    server.setRequestHandler(old.SetLevelRequestSchema, ({ params }) => ((level = params.level), {}));
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, { transport, server, uris }),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    return server.connect(transport).then(() => transport);
  }
  const handle = async (req, res) => {
    const known = sessions.get(req.headers['mcp-session-id']);
    if (req.headers['mcp-protocol-version'] === '2026-07-28') return res.writeHead(400).end('no session');
    await (known?.transport ?? (await open())).handleRequest(req, res);
  };
  createServer(handle).listen(port, '127.0.0.1');
}

function serveNew(port) {
  const tools = makeTools(
    () => handler.notify.toolsChanged(),
    (uri) => handler.notify.resourceUpdated(uri),
  );
  function build() {
    const server = new Server({ name: 'new', version: '1' }, { capabilities });
    server.setRequestHandler('tools/list', () => ({ tools: list, ttlMs: 0, cacheScope: 'private' }));
    server.setRequestHandler('tools/call', ({ params }, { mcpReq }) => tools[params.name]((level) => mcpReq.log(level, level), mcpReq.signal));
    return server;
  }
  const handler = createMcpHandler(build, { legacy: 'reject' });
  createServer(toNodeHandler(handler)).listen(port, '127.0.0.1');
}

/* --- the clients --- */

async function until(test, tries = 200) {
  for (let i = 0; i < tries; i++) {
    const found = await test();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return null;
}

const said = (result) => result.content[0].text;

async function walkBoth(client, call, heard) {
  const seen = {};
  for (const name of ['old', 'new']) {
    heard.tools = 0;
    heard.updates = [];
    await call(`${name}_touch`);
    await until(() => heard.tools >= 1 && heard.updates.length >= 1);
    seen[name] = { tools: heard.tools, updates: [...heard.updates] };
    heard.logs = [];
    await call(`${name}_log`);
    seen[name].logs = heard.logs;
    const before = Number(said(await call(`${name}_stopped`)));
    const control = new AbortController();
    const waits = call(`${name}_wait`, control.signal).catch(() => 'cancelled');
    await new Promise((resolve) => setTimeout(resolve, 60));
    control.abort();
    await waits;
    seen[name].stopped = await until(async () => Number(said(await call(`${name}_stopped`))) - before);
  }
  return seen;
}

const uris = ['old+memo:1', 'new+memo:1'];

async function walkOld(transport) {
  const heard = { logs: [], updates: [], tools: 0 };
  const client = new OldClient({ name: 'suite', version: '1' });
  client.setNotificationHandler(old.ToolListChangedNotificationSchema, () => void heard.tools++);
  client.setNotificationHandler(old.ResourceUpdatedNotificationSchema, ({ params }) => void heard.updates.push(params.uri));
  client.setNotificationHandler(old.LoggingMessageNotificationSchema, ({ params }) => void heard.logs.push(params.level));
  await client.connect(transport);
  for (const uri of uris) await client.subscribeResource({ uri });
  await client.setLoggingLevel('debug');
  // What is subscribed to while the stream is open is announced once it is acknowledged.
  await until(() => heard.updates.includes('new+memo:1'), 25);
  const call = (name, signal) => client.callTool({ name, arguments: {} }, undefined, { signal });
  const seen = await walkBoth(client, call, heard);
  seen.capabilities = client.getServerCapabilities();
  await transport.terminateSession?.();
  await client.close();
  return seen;
}

async function walkNew(url) {
  const heard = { logs: [], updates: [], tools: 0 };
  const client = new Client({ name: 'suite', version: '2' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
  client.setNotificationHandler('notifications/tools/list_changed', () => void heard.tools++);
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.updates.push(params.uri));
  client.setNotificationHandler('notifications/message', ({ params }) => void heard.logs.push(params.level));
  await client.connect(new StreamableHTTPClientTransport(url));
  const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: uris });
  const call = (name, signal) =>
    client.callTool({ name, arguments: {}, _meta: { 'io.modelcontextprotocol/logLevel': 'debug' } }, { signal });
  const seen = await walkBoth(client, call, heard);
  seen.honored = subscription.honoredFilter;
  seen.capabilities = client.getServerCapabilities();
  await subscription.close();
  await client.close();
  return seen;
}

const [mode, ...args] = process.argv.slice(2);
if (mode === 'serve') {
  serveOld(Number(args[0]));
  serveNew(Number(args[1]));
} else {
  const url = new URL(args[0]);
  const seen = { old: await walkOld(new OldTransport(url)), sse: await walkOld(new SSEClientTransport(new URL('/sse', url))) };
  console.log(JSON.stringify({ ...seen, modern: await walkNew(url) }));
  process.exit(0);
}
