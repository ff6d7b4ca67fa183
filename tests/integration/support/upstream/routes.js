// What the HTTP and HTTPS listeners answer, by path.
"use strict";
const crypto = require("crypto");
const zlib = require("zlib");

const later = (ms, fn) => setTimeout(fn, Number(ms) || 0);

function send(res, status, headers, body) {
  res.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers });
  res.end(body);
}

const send_json = (res, value) => send(res, 200, { "Content-Type": "application/json" }, JSON.stringify(value));

async function read_all(req) {
  const pieces = [];
  for await (const piece of req) {
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function echo(req, res, query, noted) {
  const body = await read_all(req);
  send_json(res, {
    method: req.method,
    url: req.url,
    headers: req.headers,
    names: req.rawHeaders.filter((_, i) => i % 2 === 0),
    body: body.length <= 65536 ? body.toString() : null,
    body_bytes: body.length,
    sha256: crypto.createHash("sha256").update(body).digest("hex"),
    trailers: req.trailers,
    connection: req.socket.number,
    tls: noted.tls,
  });
}

// N bytes that are not all the same, so that a lost or repeated piece shows.
function pattern(n) {
  const block = Buffer.alloc(Math.min(n, 1 << 20));
  for (let i = 0; i < block.length; i += 1) {
    block[i] = 97 + (i * 7 + (i >> 8)) % 26;
  }
  return n <= block.length ? block : Buffer.concat(Array(Math.ceil(n / block.length)).fill(block)).subarray(0, n);
}

function chunked(req, res, query) {
  const body = pattern(Number(query.get("bytes") || 100));
  const piece = Number(query.get("piece") || 7);
  res.writeHead(200, { "Content-Type": "text/plain" });
  for (let at = 0; at < body.length; at += piece) {
    res.write(body.subarray(at, at + piece));
  }
  res.end();
}

function trailers(req, res) {
  res.writeHead(200, { Trailer: "X-Checksum" });
  res.write("with trailers");
  res.addTrailers({ "X-Checksum": "abc" });
  res.end();
}

function slow(req, res, query) {
  later(query.get("head_ms"), () => {
    res.writeHead(200, { "Content-Length": 10 });
    res.write("first");
    later(query.get("body_ms"), () => res.end("later"));
  });
}

function redirect(req, res, query) {
  req.resume();
  send(res, Number(query.get("status") || 302), { Location: query.get("to") }, "elsewhere\n");
}

function redirect_many(req, res, query) {
  const left = Number(query.get("left"));
  if (left === 0) {
    return send(res, 200, {}, "arrived");
  }
  const ms = Number(query.get("ms") || 0);
  return later(ms, () => send(res, 302, { Location: `/redirect-many?left=${left - 1}&ms=${ms}` }, ""));
}

const CODINGS = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, "raw-deflate": zlib.deflateRawSync };

function coded(req, res, query) {
  const how = query.get("how");
  const body = query.has("bytes") ? pattern(Number(query.get("bytes"))) : Buffer.from(query.get("text") || "hello");
  const label = how === "raw-deflate" ? "deflate" : how;
  let bytes = CODINGS[how](body);
  if (query.has("cut")) {
    bytes = bytes.subarray(0, bytes.length - Number(query.get("cut")));
  }
  if (query.has("damage")) {
    bytes[Number(query.get("damage"))] ^= 0xff;
  }
  const tail = Buffer.from(query.get("tail") || "");
  send(res, 200, { "Content-Encoding": query.get("label") || label, ETag: '"v1"' }, Buffer.concat([bytes, tail]));
}

// Zeros without end to whoever decodes it: a thousandth of that on the wire.
function bomb(req, res, query) {
  const gzip = zlib.createGzip();
  const zeros = Buffer.alloc(1 << 20);
  let left = Number(query.get("mb") || 300);
  res.writeHead(200, { "Content-Encoding": "gzip" });
  gzip.pipe(res);
  res.on("close", () => {
    left = 0;
    gzip.destroy();
  });
  (function more() {
    if (left <= 0) {
      return gzip.destroyed || gzip.end();
    }
    left -= 1;
    return gzip.write(zeros, () => setImmediate(more));
  })();
}

function endless(req, res, query, noted) {
  const block = pattern(Number(query.get("piece") || 65536));
  let stopped = false;
  noted.written = 0;
  res.on("close", () => {
    stopped = true;
  });
  if (query.has("length")) {
    res.setHeader("Content-Length", query.get("length"));
  }
  res.writeHead(200, { "Content-Type": "application/octet-stream" });
  (function more() {
    while (!stopped) {
      noted.written += block.length;
      if (!res.write(block)) {
        res.once("drain", more);
        return;
      }
    }
  })();
}

function drip(req, res, query) {
  res.writeHead(200, { "Content-Type": "text/plain" });
  const timer = setInterval(() => res.write("."), Number(query.get("ms") || 20));
  res.on("close", () => clearInterval(timer));
}

function drop(req, res, query) {
  const announced = query.get("chunked") ? {} : { "Content-Length": 1000 };
  res.writeHead(200, announced);
  res.write("a part", () => later(query.get("ms"), () => res.destroy()));
}

// `abrupt`: by a FIN of TCP alone, where TLS would announce its end (close_notify).
function close_delimited(req, res, query) {
  const { socket } = res;
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n${query.get("text") || "until the end"}`;
  res.detachSocket(socket);
  if (query.get("abrupt")) {
    socket.write(answer, () => later(50, () => socket.destroy()));
  } else {
    socket.end(answer);
  }
  res.emit("close");
}

function early(req, res, query) {
  const close = query.get("close") ? { Connection: "close" } : {};
  send(res, 413, close, "too large\n");
}

// Takes the body in small sips: the sender must wait.
async function slow_read(req, res, query, noted) {
  noted.read = 0;
  for await (const piece of req) {
    noted.read += piece.length;
    await new Promise((resolve) => later(query.get("ms") || 5, resolve));
  }
  send_json(res, { body_bytes: noted.read });
}

// Leaves the body where it is.
function no_read(req, res, query, noted) {
  req.pause();
  noted.paused = true;
}

function keepalive_then_close(req, res) {
  const { socket } = res;
  res.on("finish", () => socket.end());
  send(res, 200, { Connection: "keep-alive" }, "bye\n");
}

function many_headers(req, res, query) {
  for (let i = 0; i < Number(query.get("fields") || 0); i += 1) {
    res.setHeader(`X-Field-${i}`, "v");
  }
  if (query.has("bytes")) {
    res.setHeader("X-Large", "v".repeat(Number(query.get("bytes"))));
  }
  send(res, 200, {}, "many");
}

const PATHS = {
  echo,
  bytes: (req, res, query) => send(res, 200, { "Content-Type": "text/plain" }, pattern(Number(query.get("n")))),
  status: (req, res, query) => send(res, Number(query.get("n")), {}, "status\n"),
  empty: (req, res, query) => {
    res.writeHead(Number(query.get("status") || 204));
    res.end();
  },
  json: (req, res, query) => send(res, 200, { "Content-Type": "application/json" }, query.get("text")),
  cookies: (req, res) => send(res, 200, { "Set-Cookie": ["a=1; Path=/", "b=2"], "X-Two": ["1", "2"] }, "cookies"),
  chunked,
  trailers,
  slow,
  redirect,
  "redirect-loop": (req, res) => send(res, 302, { Location: "/redirect-loop" }, ""),
  "redirect-many": redirect_many,
  coded,
  bomb,
  endless,
  drip,
  drop,
  reset: (req, res) => (res.socket.encrypted ? res.socket.destroy() : res.socket.resetAndDestroy()),
  close: (req, res) => res.socket.end(),
  "close-delimited": close_delimited,
  early,
  "slow-read": slow_read,
  "no-read": no_read,
  "keepalive-then-close": keepalive_then_close,
  "many-headers": many_headers,
  never: () => {},
};

exports.serve = async (req, res, noted) => {
  const url = new URL(req.url, "http://upstream");
  const answer = PATHS[url.pathname.slice(1)];
  if (!answer) {
    send(res, 404, {}, "no such path\n");
    return;
  }
  try {
    await answer(req, res, url.searchParams, noted);
  } catch (err) {
    res.destroy(); // the gateway has left, or the test asked for the impossible
  }
};
