// Debian's node-ws as the other end: websocket_node.js serve PORT | call PORT.
// serve: a server whose paths each do one thing. call: a client of Moongate's routes, what became of it as JSON.
const http = require("http");
const crypto = require("crypto");
const { WebSocket, WebSocketServer } = require("ws");
const [mode, port] = process.argv.slice(2);

// --- server ---

const BY_HAND = {
  // Answers that are no good.
  "/no": (socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
  "/moved": (socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n"),
  "/wrong_accept": (socket) => socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" +
    "Connection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"),
  "/silent": () => {},
  // Frames that are no good, behind a good answer.
  "/masked": (socket, accept) => socket.write(accept + "\x81\x81\x00\x00\x00\x00x", "latin1"),
  "/bad_text": (socket, accept) => socket.write(accept + "\x81\x01\xff", "latin1"),
  "/early": (socket, accept) => socket.write(accept + "\x81\x05early", "latin1"),
  "/cut": (socket, accept) => socket.end(accept + "\x81\x05cut", "latin1"),
  "/deaf": (socket, accept) => socket.write(accept),
};

const SPEAKS = {
  "/echo": (ws) => ws.on("message", (data, binary) => ws.send(data, { binary })),
  "/pieces": (ws) => {
    ws.send("one ", { fin: false });
    ws.ping("amid");
    ws.send("message", { fin: true });
    ws.on("pong", (data) => ws.send("pong " + data));
  },
  "/bye": (ws) => ws.close(4001, "see you"),
  "/ping": (ws) => ws.on("ping", (data) => ws.send("pinged " + data)),
  "/head": (ws, request) => ws.send(JSON.stringify(request.headers)),
  "/large": (ws) => ws.send("x".repeat(5000)),
  "/told": (ws) => ws.on("close", (code, reason) => { told = code + " " + reason; }),
  "/last": (ws) => ws.send(String(told)),
};
let told = "nothing";
let again = 0; // connections to /again, each of which ends after one message
SPEAKS["/again"] = (ws) => ws.send("connection " + ++again, () => again < 3 && ws._socket.destroy());

function serve() {
  const server = http.createServer((request, response) => response.end("http"));
  const wss = new WebSocketServer({
    noServer: true, perMessageDeflate: { threshold: 100 },
    handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false),
  });
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {});
    const byHand = BY_HAND[request.url];
    if (byHand) {
      const accept = crypto.createHash("sha1").update(request.headers["sec-websocket-key"] +
        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
      byHand(socket, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Accept: " + accept + "\r\n\r\n");
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => {
      ws.on("error", () => {});
      SPEAKS[request.url](ws, request);
    });
  });
  server.listen(port, "127.0.0.1");
}

// --- client ---

function open(path, protocols, options) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket("ws://127.0.0.1:" + port + path, protocols, options);
    ws.on("open", () => resolve(ws));
    ws.on("error", reject);
    ws.on("unexpected-response", (_, response) => {
      resolve({ status: response.statusCode, version: response.headers["sec-websocket-version"] });
      ws.terminate();
    });
  });
}

function next(ws, event) {
  return new Promise((resolve) => ws.once(event, (...all) => resolve(all)));
}

async function echoed(ws, data) {
  const answer = next(ws, "message");
  ws.send(data);
  const [got, binary] = await answer;
  return Buffer.from(data).equals(got) && binary === (typeof data !== "string");
}

async function call() {
  const seen = {};
  let ws = await open("/echo");
  seen.text = await echoed(ws, "h\u00e9llo \u{1f315}");
  seen.sizes = [];
  for (const n of [0, 1, 125, 126, 65535, 65536, 200000]) {
    seen.sizes.push(await echoed(ws, Buffer.alloc(n, 0xfe)));
  }
  let answer = next(ws, "message");
  ws.send("in ", { fin: false });
  ws.ping();
  ws.send("pieces", { fin: true });
  seen.pieces = String((await answer)[0]);
  answer = next(ws, "pong");
  ws.ping("still there?");
  seen.pong = String((await answer)[0]);
  answer = next(ws, "close");
  ws.close(4002, "enough");
  seen.own_close = (await answer)[0];

  ws = await open("/deflate");
  seen.extensions = ws.extensions;
  seen.compressed = [await echoed(ws, "moon ".repeat(10000)), await echoed(ws, "small"),
    await echoed(ws, crypto.randomBytes(5000)), await echoed(ws, "moon ".repeat(10000))];
  ws.terminate();

  ws = await open("/chat", ["soap", "chat.v1"]);
  seen.protocol = ws.protocol;
  answer = next(ws, "close");
  ws.send("close 4001 bye");
  const [code, reason] = await answer;
  seen.server_close = code + " " + reason;

  seen.old = await open("/echo", [], { protocolVersion: 8 });
  seen.nowhere = await open("/nowhere");
  seen.foreign = await open("/echo", [], { origin: "https://evil.example" });
  console.log(JSON.stringify(seen));
}

if (mode === "serve") {
  serve();
} else {
  call().catch((error) => {
    console.log(JSON.stringify({ error: String(error) }));
    process.exit(1);
  });
}
