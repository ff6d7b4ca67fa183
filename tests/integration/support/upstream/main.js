// Servers that the gateway's HTTP client is tested against. One process; its control port opens listeners, says what
// they have seen and sets the names of a DNS server. Prints {"control", "dns"} (ports) once it is ready.
"use strict";
const http = require("http");
const certificates = require("path").resolve(process.argv[2]);
const listeners = require("./listeners");
const names = require("./names");

const open = new Map(); // by the id that was handed out
const dns = names.start();

const COMMANDS = {
  async listen(options) {
    const listener = await listeners.open(options, certificates);
    const id = String(open.size + 1);
    open.set(id, listener);
    return { id, port: listener.port };
  },
  seen: ({ id }) => open.get(id).seen(),
  forget: ({ id }) => open.get(id).forget(),
  call: ({ id, name, args }) => open.get(id).calls[name](...args),
  drop_idle: ({ id }) => open.get(id).drop_connections(),
  close: ({ id }) => open.get(id).close(),
  names: (zone) => dns.set(zone),
  questions: () => dns.questions(),
};

async function read_json(req) {
  const pieces = [];
  for await (const piece of req) {
    pieces.push(piece);
  }
  return JSON.parse(Buffer.concat(pieces).toString() || "{}");
}

const control = http.createServer(async (req, res) => {
  let status = 200;
  let answer;
  try {
    answer = (await COMMANDS[req.url.slice(1)](await read_json(req))) || {};
  } catch (err) {
    status = 500;
    answer = { error: String(err.stack) };
  }
  const body = JSON.stringify(answer);
  res.writeHead(status, { "Content-Length": Buffer.byteLength(body), Connection: "close" });
  res.end(body);
});

dns.ready.then((dns_port) => {
  control.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({ control: control.address().port, dns: dns_port }));
  });
});
