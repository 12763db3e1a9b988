// Gives a stdio MCP server a Streamable HTTP port: node stdio-bridge.mjs FILE.js [ARG...]
// Each HTTP session has a process of its own. PORT says where to listen; the path is /mcp.
import { randomUUID } from 'node:crypto';
import express from 'express';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const command = process.argv.slice(2);
const port = Number(process.env.PORT);
if (!command.length || !port) {
  console.error('usage: PORT=N node stdio-bridge.mjs FILE.js [ARG...]');
  process.exit(2);
}

const sessions = new Map();

function refuse(res, status, message) {
  res.status(status).json({ jsonrpc: '2.0', error: { code: -32000, message }, id: null });
}

async function openSession() {
  const stdio = new StdioClientTransport({ command: process.execPath, args: command, env: process.env });
  const http = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => sessions.set(id, http),
  });
  http.onmessage = (message) => stdio.send(message).catch((error) => console.error('bridge:', error.message));
  stdio.onmessage = (message) => http.send(message).catch((error) => console.error('bridge:', error.message));
  http.onclose = () => {
    sessions.delete(http.sessionId);
    stdio.close();
  };
  stdio.onclose = () => http.close();
  await stdio.start();
  await http.start();
  return http;
}

const app = express();
app.use(express.json({ limit: '4mb' }));

app.post('/mcp', async (req, res) => {
  const id = req.headers['mcp-session-id'];
  if (id && !sessions.has(id)) return refuse(res, 404, 'Session not found');
  const starts = [req.body].flat().some((message) => message?.method === 'initialize');
  if (!id && !starts) return refuse(res, 400, 'No session id');
  const session = id ? sessions.get(id) : await openSession();
  await session.handleRequest(req, res, req.body);
  // An initialize that the transport refused leaves a process that no one can reach.
  if (!id && !session.sessionId) await session.close();
});

app.all('/mcp', async (req, res) => {
  if (req.method !== 'GET' && req.method !== 'DELETE') return refuse(res, 405, 'Method not allowed');
  const session = sessions.get(req.headers['mcp-session-id']);
  if (!session) return refuse(res, req.headers['mcp-session-id'] ? 404 : 400, 'Session not found');
  await session.handleRequest(req, res);
});

const server = app.listen(port, () => console.log(`${command[0]} on http://127.0.0.1:${port}/mcp`));
server.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    await Promise.allSettled([...sessions.values()].map((session) => session.close()));
    process.exit(0);
  });
}
