// Raw TCP listeners: they answer with the very bytes that a test gives, right or wrong.
//
// A script has one part for each request of a connection; the last part serves all further ones. A part is a list of
// steps: { hex } sends, { times } so often, { slowly } byte by byte; { wait_ms }; { end }; { reset }.
"use strict";

const HEAD_END = "\r\n\r\n";

// The request at the front of `text` (latin1), or null while it is not whole.
function take_request(text, at_head) {
  const end = text.indexOf(HEAD_END);
  if (end < 0) {
    return null;
  }
  const head = text.slice(0, end + HEAD_END.length);
  const rest = text.slice(head.length);
  const length = /^content-length: *(\d+)/im.exec(head);
  const is_chunked = /^transfer-encoding: *chunked/im.test(head);
  let bytes = length ? Number(length[1]) : 0;
  if (is_chunked) {
    const last = /(^|\r\n)0\r\n\r\n/.exec(rest);
    bytes = last ? last.index + last[0].length : Infinity;
  }
  if (at_head) {
    return { head, body: rest, rest: "" };
  }
  return rest.length < bytes ? null : { head, body: rest.slice(0, bytes), rest: rest.slice(bytes) };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function send_slowly(socket, bytes) {
  for (const byte of bytes) {
    socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
}

async function send_step(socket, step) {
  const bytes = Buffer.from(step.hex, "hex");
  if (step.slowly) {
    return send_slowly(socket, bytes);
  }
  for (let left = step.times || 1; left > 0 && !socket.destroyed; left -= 1) {
    if (!socket.write(bytes)) {
      await Promise.race([
        new Promise((resolve) => socket.once("drain", resolve)),
        new Promise((resolve) => socket.once("close", resolve)),
      ]);
    }
  }
}

async function run_step(socket, step) {
  if (step.hex !== undefined) {
    await send_step(socket, step);
  } else if (step.wait_ms) {
    await pause(step.wait_ms);
  } else if (step.end) {
    socket.end();
  } else if (step.reset) {
    socket.resetAndDestroy();
  }
}

async function run_part(socket, steps) {
  for (const step of steps) {
    if (socket.destroyed) {
      return;
    }
    await run_step(socket, step);
  }
}

function path_of(head) {
  return (/^\S+ (\S+)/.exec(head) || ["", ""])[1];
}

// Serves the scripts of one listener. Without a script for its path, a request is never answered.
exports.attach = (server, observed, options) => {
  const known = new Map();

  async function answer_what_came(socket) {
    const script = known.get(path_of(socket.text));
    const request = take_request(socket.text, script && script.answer_at === "head");
    if (!request || socket.busy) {
      return;
    }
    socket.text = request.rest;
    socket.served += 1;
    socket.busy = true;
    observed.note({ connection: socket.number, head: request.head, body: request.body.slice(0, 65536) });
    if (script) {
      await run_part(socket, script.parts[Math.min(socket.served, script.parts.length) - 1]);
    }
    socket.busy = false;
    answer_what_came(socket);
  }

  server.on("connection", (socket) => {
    socket.text = "";
    socket.served = 0;
    socket.setNoDelay(true);
    if (options.greeting) {
      socket.write(Buffer.from(options.greeting, "hex"));
    }
    socket.on("data", (data) => {
      socket.text += data.toString("latin1");
      answer_what_came(socket);
    });
    socket.on("end", () => socket.end());
  });
  return {
    script(name, script) {
      known.set(name, script);
    },
  };
};
