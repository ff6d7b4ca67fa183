// One row by key, 64 statements at once, and COPY, with the driver that the first argument names
// (postgres, which pipelines, or pg), in one process: node.js DRIVER PORT URL.
"use strict";
const http = require("http");
const { pipeline } = require("stream/promises");
const { Readable } = require("stream");

const [driver, port, url] = process.argv.slice(2);
const ROW = "SELECT id, name, n FROM rows WHERE id = $1";
const INTO = "COPY copied FROM STDIN";

// Each gives row(id) and copy(readable).
const drivers = {
  postgres() {
    const sql = require("postgres")(url, { max: Number(process.env.POOL || 16) });
    return {
      row: async (id) => (await sql`SELECT id, name, n FROM rows WHERE id = ${id}`)[0],
      async copy(from) {
        await sql`TRUNCATE copied`;
        await pipeline(from, await sql`COPY copied FROM STDIN`.writable());
      },
    };
  },
  pg() {
    const { Pool } = require("pg");
    const copyFrom = require("pg-copy-streams").from;
    const pool = new Pool({ connectionString: url, max: Number(process.env.POOL || 16) });
    return {
      row: async (id) => (await pool.query({ name: "row", text: ROW, values: [id] })).rows[0],
      async copy(from) {
        const client = await pool.connect();
        await client.query("TRUNCATE copied");
        await pipeline(from, client.query(copyFrom(INTO)));
        client.release();
      },
    };
  },
};

const database = drivers[driver]();

// How late the loop is, in ms: the longest of each hundredth of a second.
const lags = [];
let due = performance.now() + 10;
setInterval(() => {
  lags.push(Math.max(0, performance.now() - due));
  due = performance.now() + 10;
}, 10);

// Pieces of 64 KiB, as Moongate makes them of its writes.
function* lines(n) {
  let piece = "";
  for (let i = 0; i < n; i++) {
    piece += `${i}\tthe name of row ${i}\t${i * 7}\n`;
    if (piece.length >= 65536) {
      yield piece;
      piece = "";
    }
  }
  yield piece;
}

async function many(n, at_once) {
  let left = n;
  async function one() {
    while (left-- > 0) {
      await database.row(1 + (left % 10000));
    }
  }
  await Promise.all(Array.from({ length: at_once }, one));
}

http.createServer(async (req, res) => {
  const [, what, a, b] = req.url.split("/");
  try {
    let answer;
    if (what === "") {
      answer = "ready";
    } else if (what === "row") {
      answer = await database.row(a);
    } else {
      const begun = performance.now();
      lags.length = 0;
      await (what === "many" ? many(Number(a), Number(b)) : database.copy(Readable.from(lines(Number(a)))));
      lags.sort((x, y) => x - y);
      answer = { seconds: (performance.now() - begun) / 1000, lag_ms: lags[Math.floor(lags.length * 0.99)] || 0 };
    }
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify(answer));
  } catch (e) {
    res.statusCode = 500;
    res.end(String(e));
  }
}).listen(Number(port), "127.0.0.1");
