"""Debian's python3-websockets as a client of Moongate: websocket_python.py PORT. What became of it as JSON."""
import asyncio
import json
import sys

import websockets

URL = "ws://127.0.0.1:" + sys.argv[1]


async def call():
    seen = {}
    async with websockets.connect(URL + "/echo", compression=None) as ws:
        seen["echo"] = []
        for data in ["", "text", "\U0001f315" * 1000, b"", b"\xfe" * 70000]:
            await ws.send(data)
            seen["echo"].append(await ws.recv() == data)
        await ws.send(["in ", "many ", "pieces"])
        seen["pieces"] = await ws.recv()
        pong = await ws.ping("x")
        await pong
    seen["close"] = [ws.close_code, ws.close_reason]
    async with websockets.connect(URL + "/deflate") as ws:
        seen["extensions"] = [e.name for e in ws.extensions]
        text = "half a moon " * 5000
        await ws.send(text)
        seen["compressed"] = await ws.recv() == text
    async with websockets.connect(URL + "/chat", subprotocols=["chat.v1", "chat.v2"]) as ws:
        seen["protocol"] = ws.subprotocol
        await ws.send("close 4003 adieu")
        try:
            await ws.recv()
        except websockets.ConnectionClosed as closed:
            seen["server_close"] = [closed.rcvd.code, closed.rcvd.reason]
    print(json.dumps(seen))


asyncio.run(call())
