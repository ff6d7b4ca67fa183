// A DNS server (UDP on 127.0.0.1) whose names the control port sets.
//
// A zone maps a name to { A: [addresses], AAAA: [addresses], CNAME: name, ttl, rcode, silent }, a name that it lacks
// does not exist. `silent` is true, or the type that gets no answer.
"use strict";
const dgram = require("dgram");

const TYPES = { 1: "A", 5: "CNAME", 28: "AAAA" };
const NUMBERS = { A: 1, CNAME: 5, AAAA: 28 };
const NXDOMAIN = 3;

function read_question(message) {
  const labels = [];
  let at = 12;
  while (message[at] !== 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + message[at]));
    at += 1 + message[at];
  }
  return {
    name: labels.join(".").toLowerCase(),
    type: TYPES[message.readUInt16BE(at + 1)] || "other",
    bytes: message.subarray(12, at + 5),
  };
}

function ipv6_bytes(text) {
  const [front, back] = text.split("::");
  const words = (part) => (part ? part.split(":").map((word) => parseInt(word, 16)) : []);
  const tail = words(back);
  const all = words(front);
  while (all.length + tail.length < 8) {
    all.push(0);
  }
  const bytes = Buffer.alloc(16);
  all.concat(tail).forEach((word, i) => bytes.writeUInt16BE(word, i * 2));
  return bytes;
}

function name_bytes(name) {
  return Buffer.concat(name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
    .concat(Buffer.from([0])));
}

const DATA = {
  A: (text) => Buffer.from(text.split(".").map(Number)),
  AAAA: ipv6_bytes,
  CNAME: name_bytes,
};

function record(owner, type, ttl, value) {
  const data = DATA[type](value);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(NUMBERS[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([name_bytes(owner), fixed, data]);
}

// Follows CNAMEs within the zone, as a resolver would.
function records_for(zone, name, type) {
  const entry = zone[name];
  if (!entry) {
    return [];
  }
  const ttl = entry.ttl === undefined ? 60 : entry.ttl;
  if (entry.CNAME) {
    return [record(name, "CNAME", ttl, entry.CNAME), ...records_for(zone, entry.CNAME, type)];
  }
  return (entry[type] || []).map((value) => record(name, type, ttl, value));
}

function reply(message, question, rcode, records) {
  const head = Buffer.alloc(12);
  message.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8580 | rcode, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, question.bytes, ...records]);
}

exports.start = () => {
  const socket = dgram.createSocket("udp4");
  let zone = {};
  let asked = {};

  socket.on("message", (message, peer) => {
    const question = read_question(message);
    const key = `${question.name} ${question.type}`;
    asked[key] = (asked[key] || 0) + 1;
    const entry = zone[question.name];
    if (entry && (entry.silent === true || entry.silent === question.type)) {
      return;
    }
    const rcode = entry ? entry.rcode || 0 : NXDOMAIN;
    const records = rcode === 0 ? records_for(zone, question.name, question.type) : [];
    const answer = () => socket.send(reply(message, question, rcode, records), peer.port, peer.address);
    setTimeout(answer, (entry && entry.wait_ms) || 0);
  });
  return {
    ready: new Promise((resolve) => {
      socket.bind(0, "127.0.0.1", () => resolve(socket.address().port));
    }),
    set(names) {
      zone = names;
      asked = {};
    },
    questions: () => asked,
  };
};
