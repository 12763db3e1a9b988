// node eras.mjs PREFIX=URL...: at each URL stands a server of old (server-everything) as PREFIX "old_", one of 2026-07-28
// (modern_server.mjs) as "new_", or both as "both". A client of each era walks through; prints what they saw as one JSON object.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

async function outcome(promise) {
  try {
    return { ok: await promise };
  } catch (error) {
    return { code: error.code, message: String(error.message) };
  }
}

const text = (result) => result.ok?.content?.map((item) => item.text ?? item.type).join('\n') ?? result;

async function walk(client, call, prefixes) {
  const seen = { capabilities: client.getServerCapabilities(), instructions: client.getInstructions() };
  const { tools } = await client.listTools();
  seen.tools = tools.map((tool) => tool.name);
  seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
  const progress = [];
  if ('old' in prefixes) {
    const name = (tool) => prefixes.old + tool;
    seen.sum = text(await call(name('get-sum'), { a: 2, b: 40 }));
    seen.long = text(await call(name('trigger-long-running-operation'), { duration: 0.2, steps: 2 }, { onprogress: (p) => progress.push(p.progress) }));
    seen.progress = progress;
    seen.prompt = (await outcome(client.getPrompt({ name: name('args-prompt'), arguments: { city: 'Kyoto' } }))).ok?.messages?.length;
    const mine = seen.resources.find((uri) => uri.includes('demo:'));
    seen.read = (await client.readResource({ uri: mine })).contents.map(({ uri }) => uri === mine);
    seen.parallel = await Promise.all(Array.from({ length: 10 }, async (_, n) => text(await call(name('echo'), { message: `${n}` }))));
    seen.sampled = text(await call(name('trigger-sampling-request'), { prompt: 'who?', maxTokens: 10 }));
    seen.elicited = text(await call(name('trigger-elicitation-request'), {}));
    seen.unknown = await outcome(client.readResource({ uri: mine.replace('demo:', 'nowhere:') }));
  }
  if ('new' in prefixes) {
    const name = (tool) => prefixes.new + tool;
    seen.echo = text(await call(name('echo'), { words: 'Grüße' }));
    seen.memo = (await client.readResource({ uri: seen.resources.find((uri) => uri.includes('memo:1')) })).contents[0].text;
    seen.ask = text(await call(name('ask'), {}));
  }
  return seen;
}

const sample = { role: 'assistant', content: { type: 'text', text: 'from the model' }, model: 'm', stopReason: 'endTurn' };
const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
const elicit = ({ params }) => (params.requestedSchema.properties.who ? { action: 'accept', content: { who: 'me' } } : { action: 'decline' });

async function modern(url, prefixes) {
  const options = { capabilities, versionNegotiation: { mode: { pin: '2026-07-28' } } };
  const client = new Client({ name: 'suite', version: '2' }, options);
  client.setRequestHandler('elicitation/create', elicit);
  client.setRequestHandler('sampling/createMessage', () => sample);
  client.setRequestHandler('roots/list', () => ({ roots: [] }));
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const seen = await walk(client, (name, args, more) => outcome(client.callTool({ name, arguments: args }, more)), prefixes);
  seen.version = client.getNegotiatedProtocolVersion();
  await client.close();
  return seen;
}

async function old(url, prefixes) {
  const client = new OldClient({ name: 'suite', version: '1' }, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, elicit);
  client.setRequestHandler(CreateMessageRequestSchema, () => sample);
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [] }));
  const transport = new OldTransport(new URL(url));
  await client.connect(transport);
  const seen = await walk(client, (name, args, more) => outcome(client.callTool({ name, arguments: args }, undefined, more)), prefixes);
  seen.version = transport.protocolVersion;
  seen.server = client.getServerVersion();
  seen.ping = await outcome(client.ping());
  await transport.terminateSession();
  await client.close();
  return seen;
}

const kinds = { old: { old: '' }, new: { new: '' }, both: { old: 'old_', new: 'new_' } };
const all = {};
for (const pair of process.argv.slice(2)) {
  const [kind, url] = pair.split('=');
  all[kind] = { modern: await modern(url, kinds[kind]), old: await old(url, kinds[kind]) };
}
console.log(JSON.stringify(all));
process.exit(0);
