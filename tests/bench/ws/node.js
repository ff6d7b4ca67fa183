// W13's peer: node with the package ws (Debian's node-ws). node.js PORT
const http = require("http");
const { WebSocketServer } = require("ws");

const server = http.createServer((request, response) => response.end("hello\n"));
const wss = new WebSocketServer({ server, perMessageDeflate: false });
wss.on("connection", (ws, request) => {
  const echoes = request.url === "/echo";
  ws.on("message", (data, binary) => {
    if (echoes) {
      ws.send(data, { binary });
      return;
    }
    for (const each of wss.clients) {
      each.send(data, { binary });
    }
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
