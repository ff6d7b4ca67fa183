// bench/h2/node: a fixed text over HTTP/2 without TLS: node.js PORT.
const server = require("http2").createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/plain", "content-length": 6 });
  response.end("hello\n");
});
server.setTimeout(0);
server.listen(Number(process.argv[2]), "127.0.0.1");
