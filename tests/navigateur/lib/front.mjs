// What stands before the guichet on a real machine: a server that encrypts, and sends plain visitors to the encrypted address.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import path from "node:path";

const HANDSHAKE = 22; // first byte of an encrypted conversation

/**
 * Encrypts `base`, published as `host`, on one port that speaks both; `folder` receives the certificate. `status` may tell
 * another status than the server's.
 */
export async function front(base, host, folder, { status = (code) => code } = {}) {
  const { key, certificate } = selfSigned(folder);
  const inside = new URL(base);
  const secure = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, (request, answer) => {
    const headers = { ...request.headers, host, "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1" };
    if (headers.origin === origin) headers.origin = `https://${host}`;
    const passed = http.request({ hostname: inside.hostname, port: inside.port, path: request.url, method: request.method, headers }, (got) => {
      answer.writeHead(status(got.statusCode), got.rawHeaders);
      got.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    request.pipe(passed);
  });
  const plain = http.createServer((request, answer) => answer.writeHead(308, { location: `${origin}${request.url}` }).end());
  const sockets = new Set();
  const door = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.once("data", (first) => {
      socket.pause();
      socket.unshift(first);
      (first[0] === HANDSHAKE ? secure : plain).emit("connection", socket);
      process.nextTick(() => socket.resume());
    });
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  const origin = `https://localhost:${door.address().port}`;
  return {
    origin,
    certificate,
    async stop() {
      for (const socket of sockets) socket.destroy();
      door.close();
      await once(door, "close");
    },
  };
}

function selfSigned(folder) {
  const key = path.join(folder, "cle.pem");
  const certificate = path.join(folder, "certificat.pem");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", ...subject, "-keyout", key, "-out", certificate], { stdio: "pipe" });
  return { key, certificate };
}
