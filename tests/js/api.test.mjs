/**
 * The relay's event stream as the owner's app hears it, from a server on this machine.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";

import { ApiError, Relay, Unreachable } from "../../relay/owner_app/api.js";

/** A relay that answers each question as the test says. */
async function serving(t, answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  return new Relay(`http://127.0.0.1:${server.address().port}`);
}

test("a stream greets once the relay listens, and then tells what it says, however it is cut", async (t) => {
  let write;
  const relay = await serving(t, (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
    write = (text) => new Promise((resolve) => response.write(text, () => setTimeout(resolve, 20)));
  });
  const heard = [];
  const stop = new AbortController();
  const hearing = (async () => {
    for await (const { event, data } of relay.stream(stop.signal)) heard.push([event, data]);
  })();
  while (write === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  await write("");
  assert.deepEqual(heard, []);
  await write(": hello\n\n");
  assert.deepEqual(heard, [["hello", null]]);
  await write("event: doorbell\nda");
  await write('ta: {"name": "Dörr"}\r\n\r\n: ping\n\nevent: status\ndata: [1,\ndata: 2]\n\n');
  assert.deepEqual(heard.slice(1), [["doorbell", { name: "Dörr" }], ["status", [1, 2]]]);
  stop.abort();
  await assert.rejects(hearing, { name: "AbortError" });
});

test("a stream says how far it was heard, and another one asks to go on from there", async (t) => {
  const asked = [];
  const relay = await serving(t, (request, response) => {
    asked.push(request.headers["last-event-id"]);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end(": hello\nid: d.1\n\nid: d.2\nevent: status\ndata: 1\n\nevent: status\ndata: 2\n\n");
  });
  for (const lastId of ["", "d.2~e.1f"]) {
    const heard = [];
    for await (const { event, id } of relay.stream(new AbortController().signal, lastId)) heard.push([event, id]);
    assert.deepEqual(heard, [["hello", "d.1"], ["status", "d.2"], ["status", undefined]]);
  }
  assert.deepEqual(asked, [undefined, "d.2~e.1f"]);
});

test("what the relay refuses has its code, and who is signed out is told once", async (t) => {
  const relay = await serving(t, (_, response) => {
    response.writeHead(401).end('{"error": {"code": "unauthenticated", "message": "sign in"}}');
  });
  let toldTimes = 0;
  relay.onSignedOut = () => (toldTimes += 1);
  const isRefused = (error) => error instanceof ApiError && error.status === 401 && error.code === "unauthenticated";
  await assert.rejects(relay.get("doorbells"), isRefused);
  assert.equal(toldTimes, 0); // nobody was signed in
  relay.token = "t";
  await assert.rejects(relay.stream(new AbortController().signal).next(), isRefused);
  assert.equal(toldTimes, 1);
});

test("a relay that isn't there is told apart from one that refuses", async () => {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(new Relay(`http://127.0.0.1:${port}`).get("config"), Unreachable);
});
