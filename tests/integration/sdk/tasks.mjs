// node tasks.mjs serve NAME PORT [NAME PORT...]: servers of 2025-11-25 whose tool "ask" is a task that asks the user.
// node tasks.mjs walk URL=PREFIX,...  ...: a client at each gateway in front of them calls each tool PREFIXask; what it saw, as JSON.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as mcp from '@modelcontextprotocol/sdk/types.js';

const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
const question = { message: 'Who?', requestedSchema: { type: 'object', properties: { who: { type: 'string' } } } };

function serve(name, port) {
  const sessions = new Map();
  function open() {
    const options = { capabilities: { tools: {}, tasks }, taskStore: new InMemoryTaskStore(), taskMessageQueue: new InMemoryTaskMessageQueue() };
    const server = new Server({ name, version: '1' }, options);
    const tool = { name: 'ask', inputSchema: { type: 'object' }, execution: { taskSupport: 'required' } };
    server.setRequestHandler(mcp.ListToolsRequestSchema, () => ({ tools: [tool] }));
    server.setRequestHandler(mcp.CallToolRequestSchema, async (request, extra) => {
      const task = await extra.taskStore.createTask({ ttl: 60000, pollInterval: 50 });
      const relatedTask = { taskId: task.taskId };
      const work = async () => {
        await extra.taskStore.updateTaskStatus(task.taskId, 'input_required');
        const { content } = await extra.sendRequest({ method: 'elicitation/create', params: question }, mcp.ElicitResultSchema, { relatedTask });
        const result = { content: [{ type: 'text', text: `${name}: ${content.who}` }] };
        await extra.taskStore.storeTaskResult(task.taskId, 'completed', result);
      };
      work().catch((error) => console.error(error));
      return { task };
    });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    return server.connect(transport).then(() => transport);
  }
  const handle = async (req, res) => (sessions.get(req.headers['mcp-session-id']) ?? (await open())).handleRequest(req, res);
  createServer(handle).listen(port, '127.0.0.1');
}

async function walk(url, prefixes) {
  const client = new Client({ name: 'suite', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(mcp.ElicitRequestSchema, () => ({ action: 'accept', content: { who: 'me' } }));
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  await client.listTools();
  const seen = { capabilities: client.getServerCapabilities().tasks, calls: {} };
  for (const prefix of prefixes) {
    const call = { types: [] };
    for await (const message of client.experimental.tasks.callToolStream({ name: `${prefix}ask`, arguments: {} })) {
      call.types.push(message.type);
      if (message.type === 'taskCreated') call.id = message.task.taskId;
      if (message.type === 'result') call.text = message.result.content[0].text;
      if (message.type === 'error') call.error = String(message.error);
    }
    call.status = (await client.experimental.tasks.getTask(call.id)).status;
    seen.calls[prefix] = call;
  }
  seen.list = (await client.experimental.tasks.listTasks()).tasks.map(({ taskId }) => taskId);
  await transport.terminateSession();
  await client.close();
  return seen;
}

const [mode, ...args] = process.argv.slice(2);
if (mode === 'serve') {
  for (let i = 0; i < args.length; i += 2) serve(args[i], Number(args[i + 1]));
} else {
  const walks = args.map((arg) => arg.split('=')).map(([url, prefixes]) => walk(url, prefixes.split(',')));
  console.log(JSON.stringify(await Promise.all(walks)));
  process.exit(0);
}
