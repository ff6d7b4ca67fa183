// W13's peer: Bun's own WebSockets and topics. bun.js PORT
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    const echoes = new URL(request.url).pathname === "/echo";
    return server.upgrade(request, { data: { echoes } }) ? undefined : new Response("hello\n");
  },
  websocket: {
    perMessageDeflate: false,
    open(ws) {
      if (!ws.data.echoes) {
        ws.subscribe("room");
      }
    },
    message(ws, data) {
      if (ws.data.echoes) {
        ws.send(data);
      } else {
        ws.publish("room", data);
        ws.send(data); // a publisher does not hear itself
      }
    },
  },
});
