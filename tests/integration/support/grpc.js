// Both ends of gRPC, of @grpc/grpc-js in NODE_PATH:
//     grpc.js server CERTIFICATES           prints { plain, tls }: its ports
//     grpc.js client PORT SERVICE [CA.PEM]  calls all there is, prints what became of it
"use strict";
const fs = require("fs");
const http2 = require("http2");
const path = require("path");
const grpc = require("@grpc/grpc-js");

const as_is = (buffer) => buffer;
const method = (service, name, requestStream, responseStream) => ({
  path: `/${service}/${name}`, requestStream, responseStream, requestSerialize: as_is, requestDeserialize: as_is,
  responseSerialize: as_is, responseDeserialize: as_is,
});
const definition = (service) => ({
  Echo: method(service, "Echo", false, false),
  Fail: method(service, "Fail", false, false),
  Never: method(service, "Never", false, false),
  Seen: method(service, "Seen", false, false),
  Gather: method(service, "Gather", true, false),
  Count: method(service, "Count", false, true),
  Talk: method(service, "Talk", true, true),
  Break: method(service, "Break", false, true),
});

// --- the server ---

const seen = { cancelled: 0, checks: 0 };

const implementation = {
  Echo(call, callback) {
    const trailers = new grpc.Metadata();
    trailers.set("x-came", String(call.metadata.get("x-sent")[0]));
    callback(null, call.request, trailers);
  },
  Fail: (call, callback) => callback({ code: grpc.status.NOT_FOUND, details: "n\u00f6 100 %" }),
  Never(call) {
    call.on("cancelled", () => { seen.cancelled += 1; });
  },
  Seen: (call, callback) => callback(null, Buffer.from(JSON.stringify(seen))),
  Gather(call, callback) {
    let bytes = 0;
    call.on("data", (message) => { bytes += message.length; });
    call.on("end", () => callback(null, Buffer.from(String(bytes))));
  },
  Count(call) {
    const most = Number(call.request.toString());
    for (let i = 1; i <= most; i += 1) {
      call.write(Buffer.from(String(i)));
    }
    call.end();
  },
  Talk(call) {
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end());
  },
  Break(call) { // in the middle of its answer
    call.write(Buffer.from("1"));
    setTimeout(() => process.exit(0), 50);
  },
};

const health = {
  Check(call, callback) {
    seen.checks += 1;
    callback(null, Buffer.from([0x08, call.request.includes("sick") ? 2 : 1])); // SERVING is 1
  },
};

async function serve(folder) {
  const server = new grpc.Server();
  server.addService(definition("test.Echo"), implementation);
  server.addService(definition("tls.Echo"), implementation);
  server.addService({ Check: method("grpc.health.v1.Health", "Check", false, false) }, health);
  const read = (name) => fs.readFileSync(path.join(folder, name));
  const tls = grpc.ServerCredentials.createSsl(null, [{ cert_chain: read("good.pem"), private_key: read("good.key") }]);
  const bind = (credentials) => new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (err, port) => (err ? reject(err) : resolve(port)));
  });
  const ports = { plain: await bind(grpc.ServerCredentials.createInsecure()), tls: await bind(tls) };
  console.log(JSON.stringify(ports));
}

// --- the client ---

const told = (err) => ({ code: err.code, details: err.details });

function unary(client, name, text, options) {
  const metadata = new grpc.Metadata();
  metadata.set("x-sent", "sent");
  return new Promise((resolve) => {
    let trailers;
    client[name](Buffer.from(text), metadata, options || {}, (err, reply) => {
      setImmediate(() => resolve(err ? told(err) : { text: reply.toString(), trailers }));
    }).on("status", (status) => { trailers = status.metadata.getMap(); });
  });
}

function gather(client, pieces) {
  return new Promise((resolve) => {
    const call = client.Gather((err, reply) => resolve(err ? told(err) : reply.toString()));
    pieces.forEach((piece) => call.write(piece));
    call.end();
  });
}

function count(client, most) {
  return new Promise((resolve) => {
    const call = client.Count(Buffer.from(String(most)));
    let n = 0;
    call.on("data", () => { n += 1; });
    call.on("error", (err) => resolve(told(err)));
    call.on("end", () => resolve(n));
  });
}

// Each word is said when the one before it has come back: whoever gathers anything hears nothing.
function talk(client, words) {
  return new Promise((resolve) => {
    const heard = [];
    const call = client.Talk();
    call.on("data", (message) => {
      heard.push(message.toString());
      return heard.length < words.length ? call.write(Buffer.from(words[heard.length])) : call.end();
    });
    call.on("error", (err) => resolve(told(err)));
    call.on("end", () => resolve(heard));
    call.write(Buffer.from(words[0]));
  });
}

async function cancel(client) {
  const before = JSON.parse((await unary(client, "Seen", "")).text).cancelled;
  await new Promise((resolve) => {
    const call = client.Never(Buffer.from(""), (err) => resolve(err));
    setTimeout(() => call.cancel(), 100);
  });
  for (;;) {
    const now = JSON.parse((await unary(client, "Seen", "")).text).cancelled;
    if (now > before) {
      return now - before;
    }
  }
}

// Without a clock of its own.
function deadline(authority, tls, service) {
  return new Promise((resolve) => {
    const session = http2.connect(authority, tls);
    const stream = session.request({
      ":method": "POST", ":path": `/${service}/Never`, "content-type": "application/grpc", te: "trailers",
      "grpc-timeout": "150m",
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    stream.on("response", (head) => {
      session.destroy();
      resolve({ status: head[":status"], code: Number(head["grpc-status"]), type: head["content-type"] });
    });
  });
}

function broken(client) {
  return new Promise((resolve) => {
    const call = client.Break(Buffer.from(""));
    let n = 0;
    call.on("data", () => { n += 1; });
    call.on("error", (err) => resolve({ messages: n, code: err.code }));
    call.on("end", () => {});
  });
}

async function ask(port, service, ca) {
  const credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
  const Client = grpc.makeGenericClientConstructor(definition(service), service);
  const Lost = grpc.makeGenericClientConstructor(definition("lost.Echo"), "lost.Echo");
  const client = new Client(`127.0.0.1:${port}`, credentials);
  const lost = new Lost(`127.0.0.1:${port}`, credentials);
  const result = {
    echo: await unary(client, "Echo", "hello"),
    large: (await unary(client, "Echo", "x".repeat(1000000))).text.length,
    fail: await unary(client, "Fail", ""),
    gather: await gather(client, Array(50).fill(Buffer.alloc(10000))),
    count: await count(client, 1000),
    talk: await talk(client, ["one", "two", "three"]),
    cancelled: await cancel(client),
    deadline: await deadline(`${ca ? "https" : "http"}://127.0.0.1:${port}`, { rejectUnauthorized: false }, service),
    lost: await unary(lost, "Echo", ""),
    seen: JSON.parse((await unary(client, "Seen", "")).text),
    broken: process.argv[6] === "break" ? await broken(client) : undefined,
  };
  console.log(JSON.stringify(result));
  process.exit(0);
}

if (process.argv[2] === "server") {
  serve(process.argv[3]);
} else {
  ask(process.argv[3], process.argv[4], process.argv[5]);
}
