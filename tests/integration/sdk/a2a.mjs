// Talks to the quickstart's agent with the official A2A client and prints what it saw as one JSON object.
// node a2a.mjs BASE-URL [JSONRPC|HTTP+JSON]
import { randomUUID } from 'node:crypto';
import { Role, TaskState } from '@a2a-js/sdk';
import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';

const [base, transport = 'JSONRPC'] = process.argv.slice(2);
const asked = [];

// Every request must go to the gateway: this fetch notes where they go.
const fetchAndNote = (input, init) => {
  asked.push(String(input?.url ?? input));
  return fetch(input, init);
};

const cardResolver = new DefaultAgentCardResolver({ fetchImpl: fetchAndNote });
const factory = new ClientFactory(
  ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
    cardResolver,
    transports: [
      new JsonRpcTransportFactory({ fetchImpl: fetchAndNote }),
      new RestTransportFactory({ fetchImpl: fetchAndNote }),
    ],
    preferredTransports: [transport],
  }),
);

const client = await factory.createFromUrl(base);
const message = (text) => ({
  tenant: '',
  message: {
    messageId: randomUUID(),
    contextId: '',
    taskId: '',
    role: Role.ROLE_USER,
    parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: 'text/plain' }],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  },
  configuration: undefined,
  metadata: undefined,
});

const seen = {};
const answer = await client.sendMessage(message('I am Ada'));
seen.answer = (answer.parts ?? answer.payload?.value?.parts)[0].content.value;

seen.events = [];
let taskId;
for await (const event of client.sendMessageStream(message('count 3'))) {
  const { $case, value } = event.payload;
  taskId ??= value.id ?? value.taskId;
  seen.events.push($case === 'statusUpdate' ? `status ${TaskState[value.status.state]}` : $case);
}
const task = await client.getTask({ tenant: '', id: taskId });
seen.task = TaskState[task.status.state];
seen.artifact = task.artifacts[0].parts[0].content.value;
try {
  await client.getTask({ tenant: '', id: 'no-such-task' });
} catch (error) {
  seen.missing = error.constructor.name;
}
seen.asked = asked;
console.log(JSON.stringify(seen));
