// Servers that switch protocols: node switching.js. Prints the ports of a raw one and of one of the
// package ws, which echoes.
"use strict";
const net = require("net");
const { WebSocketServer } = require("ws");

const SWITCHING = (protocol) =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${protocol}\r\nConnection: Upgrade\r\nX-Own: yes\r\n\r\n`;

// What it says to a head, by path, and what to the bytes behind it.
const answers = {
  "/lines": (s) => s.write(SWITCHING("lines")),
  "/early": (s) => s.write(SWITCHING("lines") + "early\n"),
  "/other": (s) => s.write(SWITCHING("other")),
  "/refuse": (s) => s.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
  "/fake": (s) => s.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  "/events": (s) => {
    s.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    const timer = setInterval(() => s.write("data: x\r\n\r\n"), 20);
    s.on("close", () => clearInterval(timer));
  },
  "/head": (s, head) => s.end(SWITCHING("lines") + head),
  "/flood": (s) => {
    s.write(SWITCHING("lines"));
    s.write(Buffer.alloc(16 * 1024 * 1024, "x"));
  },
};

function lines(socket, text) {
  for (const line of text.split("\n").slice(0, -1)) {
    if (line === "leave") {
      socket.resetAndDestroy ? socket.resetAndDestroy() : socket.destroy();
    } else if (line === "end") {
      socket.end("bye\n");
    } else {
      socket.write(line.toUpperCase() + "\n");
    }
  }
}

const raw = net.createServer({ allowHalfOpen: true }, (socket) => {
  let text = "";
  let head = null;
  socket.on("data", (data) => {
    text += data.toString("latin1");
    if (head === null && text.includes("\r\n\r\n")) {
      const at = text.indexOf("\r\n\r\n") + 4;
      head = text.slice(0, at);
      text = text.slice(at);
      const path = head.split(" ")[1].split("?")[0];
      (answers[path] || answers["/fake"])(socket, head);
      if (!["/lines", "/early", "/flood"].includes(path)) {
        head = null;
      }
    }
    if (head !== null) {
      const end = text.lastIndexOf("\n") + 1;
      lines(socket, text.slice(0, end));
      text = text.slice(end);
    }
  });
  socket.on("end", () => socket.end(head === null ? "" : "the client ended\n"));
  socket.on("error", () => {});
});

raw.listen(0, "127.0.0.1", () => {
  const ws = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () => {
    console.log(raw.address().port, ws.address().port);
  });
  ws.on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
});
