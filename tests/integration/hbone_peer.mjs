// A peer in an ambient mesh, on Node's own TLS and HTTP/2. Its options are JSON:
//   server  ends tunnels at {host, port} and connects to the authority's port on 127.0.0.1
//   client  a plain TCP server at {listen} whose connections go through CONNECT {authority} to {host, port}
// both with {cert, key, ca}: paths. What happens is told on stdout, a JSON object a line; objects on stdin change options
// (a server's: refuse, a status; cut, once: all connections).
import fs from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import readline from "node:readline";

const mode = process.argv[2];
const options = JSON.parse(process.argv[3]);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const read = (name) => fs.readFileSync(options[name]);
const tls = { cert: read("cert"), key: read("key"), ca: read("ca"), minVersion: "TLSv1.3" };

let told = () => {}; // options have changed
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  Object.assign(options, JSON.parse(line));
  told();
  say({ told: true });
});
process.stdin.on("close", () => process.exit(0));

// Half-closes and resets are passed on.
function join(stream, socket) {
  stream.pipe(socket);
  socket.pipe(stream);
  socket.on("error", () => stream.destroy(new Error("reset"))); // close() would end it first
  stream.on("error", () => socket.resetAndDestroy());
  stream.on("aborted", () => socket.resetAndDestroy());
}

function serve() {
  let sessions = 0;
  const open = new Set();
  told = () => {
    if (options.cut) open.forEach((session) => session.destroy());
    options.cut = false;
  };
  const server = http2.createSecureServer({
    ...tls,
    requestCert: true,
    rejectUnauthorized: true,
    settings: { maxConcurrentStreams: options.streams ?? 100 },
  });
  server.on("session", (session) => {
    session.number = ++sessions;
    const certificate = session.socket.getPeerCertificate();
    const peer = certificate.subjectaltname;
    say({ session: session.number, peer, serial: certificate.serialNumber, alpn: session.alpnProtocol });
    open.add(session);
    session.on("close", () => say({ closed: session.number, was: open.delete(session) }));
  });
  server.on("stream", (stream, headers) => {
    const [authority, method] = [headers[":authority"], headers[":method"]];
    say({ tunnel: authority, method, session: stream.session.number });
    stream.on("error", () => {});
    if (options.refuse) {
      stream.respond({ ":status": options.refuse });
      stream.end("no");
      return;
    }
    const socket = net.connect({ host: "127.0.0.1", port: Number(authority.split(":").pop()), allowHalfOpen: true });
    socket.once("connect", () => {
      stream.respond({ ":status": 200 });
      join(stream, socket);
    });
    socket.once("error", () => stream.headersSent || stream.respond({ ":status": 503 }, { endStream: true }));
  });
  server.on("tlsClientError", (error) => say({ refused: error.code ?? error.message }));
  server.listen(options.port, options.host, () => say({ ready: true }));
}

function connect() {
  const session = http2.connect(`https://${options.host}:${options.port}`, {
    ...tls,
    checkServerIdentity: (_, certificate) => void say({ server: certificate.subjectaltname }),
  });
  session.on("error", (error) => say({ failed: error.code ?? error.message }));
  session.on("close", () => say({ closed: true }));
  session.on("goaway", (code) => say({ goaway: code }));
  net
    .createServer({ allowHalfOpen: true }, (socket) => {
      const stream = session.request({ ":method": options.method ?? "CONNECT", ":authority": options.authority, ...options.headers });
      stream.once("response", (headers) => {
        say({ status: headers[":status"] });
        if (headers[":status"] !== 200) socket.destroy();
      });
      stream.once("error", (error) => say({ stream: error.code }));
      join(stream, socket);
    })
    .listen(options.listen, "127.0.0.1", () => say({ ready: true }));
}

if (mode === "server") serve();
else connect();
