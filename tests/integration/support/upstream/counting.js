// A server that says what a strict reader makes of the bytes it is sent: how many requests, and what was none. Each is
// answered with what was seen of it.
"use strict";
const requests = require("./requests");

exports.attach = (server) => {
  let seen = [];
  let malformed = [];

  function serve(socket, request) {
    seen.push({
      method: request.method, target: request.target, head: request.head, body: request.body.slice(0, 1000),
      trailers: request.trailers,
    });
    const body = `${request.method} ${request.target} ${request.body_bytes}\n`;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nX-Seen: ${seen.length}\r\n\r\n`;
    socket.write(request.method === "HEAD" ? head : head + body, "latin1");
  }

  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    requests.read(socket, (request) => serve(socket, request), (text) => malformed.push(text.slice(0, 1000)));
    socket.on("end", () => socket.end());
  });
  return {
    counts: () => ({ total: seen.length, requests: seen, malformed }),
    forget_counts() {
      seen = [];
      malformed = [];
    },
  };
};
