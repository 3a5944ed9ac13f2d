// Times and numbers of a call.

import type { Duration } from "@bufbuild/protobuf/wkt";

/** Times a call from its start, with a monotonic clock. */
export class Stopwatch {
  private readonly begun = performance.now();
  private first: number | undefined;
  private ended: number | undefined;

  /** Records that a piece of the answer arrived. */
  token(): void {
    this.first ??= performance.now();
  }

  end(): void {
    this.ended ??= performance.now();
  }

  /** Milliseconds to the first piece of the answer. */
  get timeToFirstToken(): number | undefined {
    return this.first === undefined ? undefined : this.first - this.begun;
  }

  get elapsed(): number {
    return (this.ended ?? performance.now()) - this.begun;
  }

  /** From the first token to the end. Undefined if all arrived at once: then there is no speed. */
  tokensPerSecond(tokens: number): number | undefined {
    if (this.first === undefined || this.ended === undefined || tokens < 2) {
      return undefined;
    }
    const seconds = (this.ended - this.first) / 1000;
    return seconds > 0.02 ? (tokens - 1) / seconds : undefined;
  }
}

export function milliseconds(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : 0;
}

/** `250 ms`, `1.5 s`, `12 s`. */
export function timeText(milliseconds: number): string {
  if (milliseconds < 1000) {
    return `${Math.round(milliseconds)} ms`;
  }
  const seconds = milliseconds / 1000;
  return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
}

/** `39.8`, `1,234`. Not with `Intl`, which needs a tenth of a second to start on slow machines. */
export function numberText(value: number): string {
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export function sizeText(bytes: number): string {
  if (bytes < 1024) {
    return `${bytes} B`;
  }
  const kib = bytes / 1024;
  return kib < 1024 ? `${Math.round(kib)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}
