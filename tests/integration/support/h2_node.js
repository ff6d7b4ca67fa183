// A client of node's http2: h2_node.js PORT; asks for several things at once, prints what became of them as JSON.
const http2 = require("http2");
const client = http2.connect("http://127.0.0.1:" + process.argv[2]);

function ask(headers, body) {
  return new Promise((resolve, reject) => {
    const request = client.request(headers);
    const result = { bytes: 0 };
    request.on("response", (head) => { result.status = head[":status"]; });
    request.on("trailers", (trailers) => { result.trailers = Object.assign({}, trailers); });
    request.on("data", (piece) => { result.bytes += piece.length; });
    request.on("error", reject);
    request.on("end", () => resolve(result));
    request.end(body);
  });
}

Promise.all([
  ask({ ":path": "/text" }),
  ask({ ":path": "/big/1000" }),
  ask({ ":path": "/length", ":method": "POST" }, Buffer.alloc(300000)),
  ask({ ":path": "/stream/5" }),
  ask({ ":path": "/nowhere" }),
]).then((results) => {
  console.log(JSON.stringify(results));
  client.close();
}, (error) => {
  console.log(JSON.stringify({ error: String(error) }));
  process.exit(1);
});
