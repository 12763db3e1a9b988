// The quickstart's A2A agent: greets whoever writes to it. A message that starts with "count" becomes a task that
// streams one update a number. Speaks A2A 1.0 and 0.3 over JSON-RPC at /, and 1.0 over REST at /rest. PORT says where.
// SPEAKS=1.0 or SPEAKS=0.3 leaves it one version, over both.
import { randomUUID } from 'node:crypto';
import express from 'express';
import { Role, TaskState } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';

const port = Number(process.env.PORT || 3201);
const speaks = process.env.SPEAKS;
const base = `http://127.0.0.1:${port}`;
const COUNT_MAX = 20;
const COUNT_PAUSE_MS = 50;

const card = {
  name: 'hello',
  description: 'Greets whoever writes to it, and counts on request.',
  version: '1.0.0',
  provider: { organization: 'AgentGateway quickstart', url: base },
  supportedInterfaces: [
    { url: `${base}/`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' },
    { url: `${base}/rest`, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0', tenant: '' },
    { url: `${base}/`, protocolBinding: 'JSONRPC', protocolVersion: '0.3', tenant: '' },
    ...(speaks === '0.3' ? [{ url: `${base}/rest`, protocolBinding: 'HTTP+JSON', protocolVersion: '0.3', tenant: '' }] : []),
  ].filter((one) => !speaks || one.protocolVersion === speaks),
  capabilities: { streaming: true, pushNotifications: false, extensions: [] },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [
    {
      id: 'greet',
      name: 'Greet',
      description: 'Answers with a greeting.',
      tags: ['greeting'],
      examples: ['Hello, I am Ada'],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
    },
    {
      id: 'count',
      name: 'Count',
      description: 'Counts to a number, one streamed update each.',
      tags: ['streaming', 'task'],
      examples: ['count 5'],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
    },
  ],
  signatures: [],
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const text = (value) => ({ content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: 'text/plain' });

function agentMessage(taskId, contextId, value) {
  return {
    messageId: randomUUID(),
    contextId,
    taskId,
    role: Role.ROLE_AGENT,
    parts: [text(value)],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

class HelloExecutor {
  #canceled = new Set();

  async execute(context, bus) {
    const words = context.userMessage.parts
      .map((part) => (part.content?.$case === 'text' ? part.content.value : ''))
      .join(' ')
      .trim();
    const count = /^count\s+(\d+)/i.exec(words);
    if (count) {
      await this.#count(context, bus, Math.min(Number(count[1]), COUNT_MAX));
    } else {
      bus.publish(AgentEvent.message(agentMessage('', context.contextId, `Hello! You said: ${words}`)));
    }
    bus.finished();
  }

  async #count({ taskId, contextId, task, userMessage }, bus, last) {
    const status = (state, words) => ({
      state,
      message: words ? agentMessage(taskId, contextId, words) : undefined,
      timestamp: new Date().toISOString(),
    });
    bus.publish(
      AgentEvent.task(
        task ?? {
          id: taskId,
          contextId,
          status: status(TaskState.TASK_STATE_SUBMITTED),
          artifacts: [],
          history: [userMessage],
          metadata: undefined,
        },
      ),
    );
    const update = (state, words) =>
      bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: status(state, words), metadata: undefined }));
    for (let n = 1; n <= last; n++) {
      if (this.#canceled.delete(taskId)) return update(TaskState.TASK_STATE_CANCELED);
      update(TaskState.TASK_STATE_WORKING, String(n));
      await pause(COUNT_PAUSE_MS);
    }
    bus.publish(
      AgentEvent.artifactUpdate({
        taskId,
        contextId,
        artifact: {
          artifactId: 'count',
          name: 'count',
          description: '',
          parts: [text(Array.from({ length: last }, (_, i) => i + 1).join(' '))],
          metadata: undefined,
          extensions: [],
        },
        append: false,
        lastChunk: true,
        metadata: undefined,
      }),
    );
    update(TaskState.TASK_STATE_COMPLETED);
  }

  async cancelTask(taskId) {
    this.#canceled.add(taskId);
  }
}

const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new HelloExecutor());
const legacyCompat = { enabled: speaks !== '1.0' };
const userBuilder = UserBuilder.noAuthentication;

const app = express();
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler, legacyCompat }));
if (speaks === '0.3') {
  const isOld = (req) => !/^1\./.test(req.get('A2A-Version') ?? '');
  app.post('/', (req, res, next) => (isOld(req) ? next() : res.status(400).end()));
  app.use('/rest', (req, res, next) => (isOld(req) && req.path.startsWith('/v1/') ? next() : res.status(404).end()));
}
app.use('/rest', restHandler({ requestHandler, userBuilder, legacyCompat: { enabled: speaks === '0.3' } }));
app.use('/', jsonRpcHandler({ requestHandler, userBuilder, legacyCompat }));

const server = app.listen(port, () => console.log(`hello agent on ${base}/`));
server.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
