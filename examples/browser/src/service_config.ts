// Implements a gRPC service config for connect-web, which supports none: timeout, retry policy and
// retry throttling (gRFC A6). A page cannot choose addresses; the proxy in front of the gateway
// spreads the calls.

import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { codeName } from "./failure";

export interface ServiceConfig {
  methodConfig?: MethodConfig[];
  retryThrottling?: { maxTokens: number; tokenRatio: number };
}

interface MethodConfig {
  name: { service?: string; method?: string }[];
  timeout?: string;
  retryPolicy?: RetryPolicy;
}

interface RetryPolicy {
  maxAttempts: number;
  initialBackoff: string;
  maxBackoff: string;
  backoffMultiplier: number;
  retryableStatusCodes: string[];
}

/** The same transport, with the service config applied. */
export function withServiceConfig(transport: Transport, config: ServiceConfig): Transport {
  const throttle = throttling(config);

  /**

   * Makes attempts until there is a response, or no retry is left. Later errors of a stream go to

   * its reader.

   */
  async function call<T>(method: DescMethod, signal: AbortSignal | undefined, timeoutMs: number | undefined, attempt: (timeoutMs?: number) => Promise<T>): Promise<T> {
    const { timeout, retryPolicy } = methodConfig(config, method);
    const limit = Math.min(timeoutMs || Infinity, timeout ? milliseconds(timeout) : Infinity);
    const deadline = performance.now() + limit;
    for (let n = 1; ; n++) {
      try {
        // In whole milliseconds; 0 would mean none.
        const answer = await attempt(limit === Infinity ? undefined : Math.max(1, Math.ceil(deadline - performance.now())));
        throttle.succeeded();
        return answer;
      } catch (error) {
        const wait = retryPolicy && waitBefore(n + 1, retryPolicy, ConnectError.from(error));
        if (wait === undefined || !throttle.failed() || wait === "never") throw error;
        const left = deadline - performance.now();
        await pause(Math.min(wait, left), signal);
        if (wait >= left) throw new ConnectError("the deadline has passed", Code.DeadlineExceeded);
      }
    }
  }

  return {
    unary: (method, signal, timeoutMs, header, input, contextValues) =>
      call(method, signal, timeoutMs, (left) => transport.unary(method, signal, left, header, input, contextValues)),
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      // The stream can be read only once, but a retry sends it again. In a browser it has one
      // message.
      const messages: MessageInitShape<typeof method.input>[] = [];
      for await (const message of input) messages.push(message);
      const again = async function* () {
        yield* messages;
      };
      return call(method, signal, timeoutMs, (left) => transport.stream(method, signal, left, header, again(), contextValues));
    },
  };
}

/** The configuration of the method, of its service, or of all methods. */
function methodConfig({ methodConfig = [] }: ServiceConfig, method: DescMethod): Omit<MethodConfig, "name"> {
  const named = (service?: string, name?: string) => methodConfig.find((it) => it.name.some((its) => its.service === service && its.method === name));
  return named(method.parent.typeName, method.name) ?? named(method.parent.typeName) ?? named() ?? {};
}

/** Milliseconds before the next attempt, "never", or undefined if this failure is not retried. */
function waitBefore(attempt: number, policy: RetryPolicy, error: ConnectError): number | "never" | undefined {
  // The gateway's pushback overrides the policy: a time to wait, or an invalid value that means
  // "never".
  const pushback = error.metadata.get("grpc-retry-pushback-ms");
  if (pushback !== null && !/^\d+$/.test(pushback)) return "never";
  if (!policy.retryableStatusCodes.includes(codeName(error.code))) return undefined;
  if (attempt > policy.maxAttempts) return "never";
  if (pushback !== null) return Number(pushback);
  const backoff = milliseconds(policy.initialBackoff) * policy.backoffMultiplier ** (attempt - 2);
  // ± 20 %, so that calls that failed together are not retried together.
  return Math.min(backoff, milliseconds(policy.maxBackoff)) * (0.8 + 0.4 * Math.random());
}

/** Stops retries if most calls fail. */
function throttling({ retryThrottling }: ServiceConfig) {
  const { maxTokens, tokenRatio } = retryThrottling ?? { maxTokens: Infinity, tokenRatio: 0 };
  let tokens = maxTokens;
  return {
    succeeded() {
      tokens = Math.min(tokens + tokenRatio, maxTokens);
    },
    /** Whether to retry. */
    failed(): boolean {
      tokens = Math.max(tokens - 1, 0);
      return tokens > maxTokens / 2 || maxTokens === Infinity;
    },
  };
}

/** Waits, or throws the reason for which the signal was aborted. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const aborted = () => {
      clearTimeout(timer);
      reject(ConnectError.from(signal?.reason));
    };
    if (signal?.aborted) aborted();
    // After the wait it has no effect.
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** Parses a duration in JSON's form: "1.5s". */
function milliseconds(duration: string): number {
  return Number(duration.replace(/s$/, "")) * 1000;
}
