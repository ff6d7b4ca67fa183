// A server that fails as often as it is told to, at moments and bytes that chance chooses, and that counts how often
// each request has come: by its X-Id. What it answers tells for which request it was made, so that a mixed-up, cut or
// repeated answer shows: "NAME ID METHOD BODY-BYTES SIZE\n" and SIZE bytes of a pattern.
//
// A fault is a share of the requests, from 0 to 1:
//   idle_close, idle_reset  the connection ends up to `within_ms` after an answer, whatever has come meanwhile, but not
//                           within the next answer
//   stale                   of a connection that has answered before: it ends when a request has come, with no byte of an answer
//   fresh                   the same of one that has answered nothing yet
//   cut                     the answer ends at any byte
//   both_framings, garbage  an answer that is none
//   freeze                  nothing more comes
//   drip                    the answer comes in small pieces
//   unavailable             503, whole
"use strict";
const requests = require("./requests");

const HEAD_END = "\r\n\r\n";
const LETTERS = "abcdefghijklmnopqrstuvwxyz".repeat(5000);

// mulberry32: the same faults for the same seed, as far as the order of requests allows.
function chance(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function answer(name, request, size, status, chunked) {
  const id = request.field("x-id") || "-";
  const body = `${name} ${id} ${request.method} ${request.body_bytes} ${size}\n${LETTERS.slice(0, size)}`;
  const first = `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nX-Server: ${name}\r\nX-Id: ${id}\r\n`;
  if (request.method === "HEAD") {
    return `${first}Content-Length: ${body.length}${HEAD_END}`;
  }
  return chunked
    ? `${first}Transfer-Encoding: chunked${HEAD_END}${body.length.toString(16)}\r\n${body}\r\n0${HEAD_END}`
    : `${first}Content-Length: ${body.length}${HEAD_END}${body}`;
}

async function drip(socket, text) {
  const step = Math.ceil(text.length / 10);
  for (let at = 0; at < text.length && !socket.destroyed; at += step) {
    socket.write(text.slice(at, at + step), "latin1");
    await new Promise(setImmediate);
  }
}

// Whether an answer with that fault leaves the connection fit for another one.
const FAULTS = {
  stale: (socket) => socket.end(),
  fresh: (socket) => socket.resetAndDestroy(),
  cut(socket, text, random) {
    socket.end(text.slice(0, Math.floor(random() * text.length)), "latin1");
  },
  both_framings(socket, text) {
    socket.write(text.replace("Content-Type", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Type"), "latin1");
  },
  garbage: (socket) => socket.write(`nonsense${HEAD_END}`),
  freeze() {},
};

exports.attach = (server, observed, options) => {
  const random = chance(options.seed || 1);
  const counted = new Map(); // "METHOD ID" -> times
  let faults = options.faults || {};

  const happens = (fault) => (faults[fault] || 0) > 0 && random() < faults[fault];

  function fault_for(socket) {
    const applies = { stale: socket.answered > 0, fresh: socket.answered === 0 };
    return Object.keys(FAULTS).find((fault) => applies[fault] !== false && happens(fault));
  }

  function end_idle_soon(socket) {
    const reset = happens("idle_reset");
    if (reset || happens("idle_close")) {
      const end = () => (reset ? socket.resetAndDestroy() : socket.destroy());
      setTimeout(() => socket.drips || end(), random() * (options.within_ms || 5));
    }
  }

  async function serve(socket, request) {
    const key = `${request.method} ${request.field("x-id") || "-"}`;
    counted.set(key, (counted.get(key) || 0) + 1);
    const size = Math.floor(random() * (options.most_bytes || 2000));
    const status = happens("unavailable") ? "503 Service Unavailable" : "200 OK";
    const text = answer(options.name || "fickle", request, size, status, random() < 0.5);
    const fault = fault_for(socket);
    if (fault) {
      FAULTS[fault](socket, text, random);
      return false;
    }
    if (happens("drip")) {
      socket.drips = true;
      await drip(socket, text);
      socket.drips = false;
    } else {
      socket.write(text, "latin1");
    }
    socket.answered += 1;
    end_idle_soon(socket);
    return true;
  }

  server.on("connection", (socket) => {
    socket.answered = 0;
    socket.setNoDelay(true);
    requests.read(socket, (request) => serve(socket, request));
    socket.on("end", () => socket.end());
  });
  return {
    set_faults(wanted) {
      faults = wanted;
    },
    counts() {
      const repeated = [...counted].filter(([, times]) => times > 1).map(([key, times]) => ({ key, times }));
      const total = [...counted.values()].reduce((sum, times) => sum + times, 0);
      return { total, different: counted.size, repeated };
    },
    times: (key) => ({ times: counted.get(key) || 0 }),
    forget: () => counted.clear(),
  };
};
