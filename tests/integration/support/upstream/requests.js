// Reads the requests of a raw connection one after the other, strictly: what is not exactly a request ends the
// connection and is told, so that a test sees what a gateway has let through.
"use strict";

const HEAD_END = "\r\n\r\n";
const HEAD = /^([!#$%&'*+\-.^_`|~\w]+) (\S+) HTTP\/1\.[01]\r\n((?:[!#$%&'*+\-.^_`|~\w]+:[^\r\n\0]*\r\n)*)\r\n$/;

function parse_head(text) {
  const parts = HEAD.exec(text);
  if (!parts) {
    return null;
  }
  const fields = parts[3].split("\r\n").slice(0, -1).map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const all = (name) => fields.filter(([n]) => n === name).map(([, value]) => value);
  return { head: text, method: parts[1], target: parts[2], fields, all, field: (name) => all(name)[0] };
}

// How its body is framed: { bytes }, { chunked }, or null: contradictory or malformed.
function framing(request) {
  const lengths = request.all("content-length");
  const codings = request.all("transfer-encoding");
  if (codings.length > 0) {
    return lengths.length === 0 && codings.length === 1 && codings[0].toLowerCase() === "chunked" ? { chunked: true } : null;
  }
  if (lengths.length > 1 || (lengths.length === 1 && !/^\d+$/.test(lengths[0]))) {
    return null;
  }
  return { bytes: Number(lengths[0] || 0) };
}

// A chunked body at the front of `text`: { body, used }; null: not whole yet; false: malformed.
function take_chunks(text) {
  const pieces = [];
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) {
      return null;
    }
    const line = /^([0-9a-fA-F]+)(;.*)?$/.exec(text.slice(at, end));
    if (!line) {
      return false;
    }
    const size = parseInt(line[1], 16);
    at = end + 2;
    if (size === 0) {
      const trailers_end = text.startsWith("\r\n", at) ? at + 2 : text.indexOf(HEAD_END, at) + 4;
      return trailers_end < at + 2 ? null : { body: pieces.join(""), used: trailers_end, trailers: text.slice(at, trailers_end) };
    }
    if (text.length < at + size + 2) {
      return null;
    }
    if (text.slice(at + size, at + size + 2) !== "\r\n") {
      return false;
    }
    pieces.push(text.slice(at, at + size));
    at += size + 2;
  }
}

// The request at the front of `text` (latin1): { request, used }; null: not whole yet; false: it is none.
function take_request(text) {
  const end = text.indexOf(HEAD_END);
  if (end < 0) {
    return null;
  }
  const from = end + HEAD_END.length;
  const request = parse_head(text.slice(0, from));
  const framed = request && framing(request);
  if (!framed) {
    return false;
  }
  if (!framed.chunked) {
    request.body = text.slice(from, from + framed.bytes);
    return text.length < from + framed.bytes ? null : { request, used: from + framed.bytes };
  }
  const chunks = take_chunks(text.slice(from));
  if (chunks) {
    request.body = chunks.body;
    request.trailers = chunks.trailers;
  }
  return chunks && { request, used: from + chunks.used };
}

// Gives each request to `serve`, the next one when that is done with it; false from it: no further one is read.
// `malformed(text)` is told what was none.
exports.read = (socket, serve, malformed = () => {}) => {
  let text = "";
  let busy = false;

  async function serve_what_came() {
    while (!busy && !socket.destroyed) {
      const taken = take_request(text);
      if (taken === false) {
        malformed(text);
        socket.destroy();
      }
      if (!taken) {
        return;
      }
      text = text.slice(taken.used);
      taken.request.body_bytes = taken.request.body.length;
      busy = true;
      busy = (await serve(taken.request)) === false;
    }
  }
  socket.on("data", (data) => {
    text += data.toString("latin1");
    serve_what_came();
  });
  socket.on("end", () => text && malformed(text));
};
