// bench/node: the same routes on Node's own http server, without a framework. node.js PORT
"use strict";
const http = require("http");

function answer(res, type, body) {
  res.writeHead(200, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  res.end(body);
}

const server = http.createServer((req, res) => {
  const user = /^\/users\/([^/]+)$/.exec(req.url);
  if (user) {
    answer(res, "application/json", JSON.stringify({ id: user[1], name: "user " + user[1] }));
  } else if (req.url === "/three") {
    const get = () => fetch("http://127.0.0.1:18087/").then((r) => r.text());
    Promise.all([get(), get(), get()]).then((all) => answer(res, "text/plain", all.join("")));
  } else if (req.url === "/sleep") {
    setTimeout(() => answer(res, "text/plain", "hello\n"), 5);
  } else {
    answer(res, "text/plain", "hello\n");
  }
});
server.keepAliveTimeout = 600000;
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
