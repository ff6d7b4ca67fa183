// Listeners of each kind, and what they have seen: connections, requests, and who left too early.
"use strict";
const fs = require("fs");
const http = require("http");
const http2 = require("http2");
const https = require("https");
const net = require("net");
const path = require("path");
const counting = require("./counting");
const fickle = require("./fickle");
const routes = require("./routes");
const scripts = require("./scripts");

const REMEMBERED = 2000; // requests

// Counts the connections of a server, and keeps the list of its requests.
function observe(server, event) {
  const sockets = new Set();
  const state = { connections: 0, resets: 0, requests: [] };
  server.on(event, (socket) => {
    state.connections += 1;
    socket.number = state.connections;
    sockets.add(socket);
    socket.on("error", (err) => {
      state.resets += err.code === "ECONNRESET" ? 1 : 0;
    });
    socket.on("close", () => sockets.delete(socket));
  });
  return {
    sockets,
    note(request) {
      state.requests.push(request);
      state.requests.splice(0, state.requests.length - REMEMBERED);
      return request;
    },
    seen: () => ({ ...state, open: sockets.size }),
    forget() {
      state.connections = 0;
      state.resets = 0;
      state.requests = [];
    },
    drop_connections() {
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

function tls_facts(socket) {
  return socket.encrypted && {
    resumed: socket.isSessionReused(),
    server_name: socket.servername || null,
    alpn: socket.alpnProtocol || null,
    version: socket.getProtocol(),
    client: (socket.getPeerCertificate().subject || {}).CN || null,
  };
}

function serve(observed, req, res) {
  const noted = observed.note({
    connection: req.socket.number,
    method: req.method,
    url: req.url,
    state: "open",
    tls: tls_facts(req.socket),
  });
  res.on("close", () => {
    noted.state = res.writableEnded && res.writableFinished ? "answered" : "aborted"; // of HTTP/2 the latter alone says nothing
  });
  routes.serve(req, res, noted);
}

function certificate(folder, name) {
  const read = (end) => fs.readFileSync(path.join(folder, name + end));
  return { cert: read(".pem"), key: read(".key") };
}

// Who has no certificate of that authority is turned away.
function wanted_of_clients(folder, authority) {
  return authority
    ? { requestCert: true, rejectUnauthorized: true, ca: fs.readFileSync(path.join(folder, `${authority}.pem`)) } : {};
}

// No patience of its own may end a test's connection.
const PATIENT = { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 };

function http_server(options, certificates) {
  const settings = { settings: { maxConcurrentStreams: options.streams || 100 } };
  if (options.kind === "h2") {
    return http2.createServer(settings);
  }
  if (options.kind === "h2s") { // ALPN chooses
    return http2.createSecureServer({ ...settings, allowHTTP1: true, ...certificate(certificates, options.cert || "good") });
  }
  if (options.kind === "https") {
    const tls = { ALPNProtocols: options.alpn || ["http/1.1"], ...certificate(certificates, options.cert || "good"),
      ...wanted_of_clients(certificates, options.clients_of) };
    return https.createServer({ ...PATIENT, ...tls, maxVersion: options.max_version || "TLSv1.3" });
  }
  return http.createServer(PATIENT);
}

const RAW = { raw: scripts, fickle, counting };

function make(options, certificates) {
  if (RAW[options.kind]) {
    const server = net.createServer({ allowHalfOpen: true });
    const observed = observe(server, "connection");
    return { server, observed, calls: RAW[options.kind].attach(server, observed, options) };
  }
  const server = http_server(options, certificates);
  const observed = observe(server, ["https", "h2s"].includes(options.kind) ? "secureConnection" : "connection");
  server.keepAliveTimeout = options.keep_alive_ms || 0;
  server.on("request", (req, res) => serve(observed, req, res));
  server.on("clientError", (err, socket) => socket.destroy());
  server.on("tlsClientError", () => {});
  return { server, observed };
}

// options: kind "http", "https", "h2", "h2s", "raw", "fickle" or "counting"; host and port, or path of a Unix socket; cert; alpn; keep_alive_ms.
exports.open = (options, certificates) => new Promise((resolve, reject) => {
  const { server, observed, calls } = make(options, certificates);
  server.on("error", reject);
  const where = options.path ? { path: options.path }
    : { host: options.host || "127.0.0.1", port: options.port || 0, ipv6Only: true };
  server.listen(where, () => resolve({
    ...observed,
    port: options.path ? null : server.address().port,
    calls, // of its kind
    close() {
      server.close();
      observed.drop_connections();
    },
  }));
});
