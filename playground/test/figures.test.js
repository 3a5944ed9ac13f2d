// Times and numbers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { milliseconds, numberText, sizeText, Stopwatch, timeText } from "../src/figures";

test("a stopwatch counts to the first token once, and stops once", (t) => {
  let now = 1000;
  t.mock.method(performance, "now", () => now);
  const watch = new Stopwatch();
  assert.equal(watch.timeToFirstToken, undefined);
  now = 1250;
  watch.token();
  now = 1500;
  watch.token();
  assert.equal(watch.elapsed, 500);
  assert.equal(watch.tokensPerSecond(11), undefined, "as long as it runs");
  now = 2250;
  watch.end();
  now = 9000;
  watch.end();
  assert.equal(watch.timeToFirstToken, 250);
  assert.equal(watch.elapsed, 1250);
  // The first token is the start: ten more in a second.
  assert.equal(watch.tokensPerSecond(11), 10);
  assert.equal(watch.tokensPerSecond(1), undefined);
});

test("what comes all at once has no speed", (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const watch = new Stopwatch();
  watch.token();
  now = 10;
  watch.end();
  assert.equal(watch.tokensPerSecond(100), undefined);
});

test("numbers as people read them", () => {
  assert.deepEqual([0, 999.4, 1000, 1530, 9960, 12_300].map(timeText), ["0 ms", "999 ms", "1 s", "1.5 s", "10 s", "12 s"]);
  assert.deepEqual([0, 39.84, 100.4, 1234, 1_234_567].map(numberText), ["0", "39.8", "100", "1,234", "1,234,567"]);
  assert.deepEqual([1023, 1024, 1024 * 1024 * 1.25].map(sizeText), ["1023 B", "1 KiB", "1.3 MiB"]);
  assert.equal(milliseconds({ seconds: 1n, nanos: 500_000_000 }), 1500);
  assert.equal(milliseconds(undefined), 0);
});
