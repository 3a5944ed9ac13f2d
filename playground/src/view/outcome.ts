// How a call ended: its metrics, its route, and its error.

import { type Attempt, TargetKind } from "../../gen/bedrock/inference/v1/target_pb";
import type { Exchange } from "../conversation";
import type { Failure } from "../failure";
import { milliseconds, numberText, timeText } from "../figures";
import { pretty } from "../json";
import { h } from "./dom";

type Row = [name: string, value: string | HTMLElement];

/** The line below an answer, and the details to expand. */
export function figures({ answer, stopwatch, outcome }: Exchange): HTMLElement {
  const usage = answer.metadata?.usage;
  const first = stopwatch.timeToFirstToken;
  const speed = stopwatch.tokensPerSecond(usage?.outputTokens ?? 0);
  const rows: (Row | undefined)[] = [
    first === undefined ? undefined : ["first token", timeText(first)],
    speed === undefined ? undefined : ["speed", `${numberText(speed)} tokens/s`],
    ["total", timeText(stopwatch.elapsed)],
    count("input", usage?.inputTokens),
    count("output", usage?.outputTokens),
    usage?.cacheReadInputTokens ? count("from cache", usage.cacheReadInputTokens) : undefined,
    usage?.cacheWriteInputTokens ? count("to cache", usage.cacheWriteInputTokens) : undefined,
    answer.stop ? ["stopped by", answer.stop.stopReasonName] : outcome === "stopped" ? ["stopped by", "you"] : undefined,
  ];
  return h("dl", { className: "figures" }, ...pairs(rows));
}

function count(name: string, tokens: number | undefined): Row | undefined {
  return tokens === undefined ? undefined : [name, `${numberText(tokens)} tokens`];
}

/** Target, attempts, request IDs. */
export function particulars({ answer, outcome }: Exchange): HTMLElement | undefined {
  const failure = typeof outcome === "object" ? outcome.failure : undefined;
  const { start, metadata } = answer;
  const target = start?.target;
  const attempts = start?.attempts.length ? start.attempts : (failure?.attempts ?? []);
  const rows: (Row | undefined)[] = [
    target && ["target", target.name],
    target && ["model ID", h("code", {}, target.modelId)],
    target && ["kind", (TargetKind[target.kind] ?? "").toLowerCase().replaceAll("_", " ")],
    target && ["source Region", target.sourceRegion],
    target?.destinationRegions.length ? ["may be served in", target.destinationRegions.join(", ")] : undefined,
    attempts.length > 0 ? ["attempts", h("ol", { className: "attempts" }, ...attempts.map((attempt) => h("li", {}, attemptText(attempt))))] : undefined,
    metadata?.metrics?.latencyMs === undefined ? undefined : ["latency at Bedrock", timeText(Number(metadata.metrics.latencyMs))],
    idRow("request ID", start?.requestId ?? failure?.requestId),
    idRow("Bedrock's request ID", start?.bedrockRequestId ?? failure?.upstream?.requestId),
    metadata?.trace?.promptRouter?.invokedModelId ? ["routed to", h("code", {}, metadata.trace.promptRouter.invokedModelId)] : undefined,
    metadata?.trace?.guardrail ? ["guardrail", metadata.trace.guardrail.actionReason ?? "assessed"] : undefined,
    answer.stop?.additionalModelResponseFieldsJson ? ["model's own fields", h("pre", {}, pretty(answer.stop.additionalModelResponseFieldsJson))] : undefined,
    ...answer.unknown.map((unknown): Row => ["type" in unknown ? unknown.type : unknown.pointer, h("pre", {}, unknown.json)]),
  ];
  const shown = pairs(rows);
  return shown.length === 0 ? undefined : h("details", { className: "particulars" }, h("summary", {}, "Target and attempts"), h("dl", {}, ...shown));
}

function idRow(name: string, id: string | undefined): Row | undefined {
  return id ? [name, h("code", {}, id)] : undefined;
}

function attemptText({ modelId, sourceRegion, failureReason, duration }: Attempt): string {
  return `${modelId} in ${sourceRegion}: ${failureReason || "answered"} after ${timeText(milliseconds(duration))}`;
}

function pairs(rows: (Row | undefined)[]): HTMLElement[] {
  return rows.filter((row) => row !== undefined).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
}

/** The error, and a button to retry as soon as a retry makes sense. */
export function failureCard(failure: Failure, cut: boolean, retry: () => void): HTMLElement {
  const { code, reason, message, retryAfter, violations, quotas, links, upstream, phase } = failure;
  const origin = [upstream?.exception, upstream?.httpStatus ? `HTTP ${upstream.httpStatus}` : "", upstream && phase && `phase ${phase}`].filter(Boolean);
  return h(
    "div",
    { className: "card failure" },
    h("p", { className: "title" }, h("strong", {}, reason || code), reason !== "" && h("span", { className: "note" }, ` ${code}`)),
    h("p", {}, ...withCode(message)),
    cut && h("p", { className: "note" }, "The answer was cut off. The part that arrived is valid but incomplete."),
    // A single violation is in the message already.
    violations.length > 1 &&
      h("ul", {}, ...violations.map(({ field, description }) => h("li", {}, h("code", {}, field), " ", ...withCode(description)))),
    quotas.length > 0 &&
      h("p", { className: "note" }, `Quota: ${quotas.map(({ subject }) => subject).join(", ")}`),
    origin.length > 0 && h("p", { className: "note" }, origin.join(" · ")),
    links.length > 0 && h("p", {}, ...links.map(({ description, url }) => h("a", { href: url, rel: "noreferrer", target: "_blank" }, description))),
    h(
      "p",
      { className: "row" },
      retryButton(retryAfter, retry),
      retryAfter !== undefined && h("span", { className: "note retry-after" }, `Asked to wait ${timeText(retryAfter)}`),
    ),
  );
}

/** Text in backticks is code. */
function withCode(text: string): (string | HTMLElement)[] {
  return text.split("`").map((part, i) => (i % 2 === 1 ? h("code", {}, part) : part));
}

function retryButton(retryAfter: number | undefined, retry: () => void): HTMLButtonElement {
  const button = h("button", { type: "button", className: "retry", onclick: retry }, "Try again");
  const end = performance.now() + (retryAfter ?? 0);
  const count = () => {
    const left = end - performance.now();
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Try again in ${Math.ceil(left / 1000)} s` : "Try again";
    if (left > 0) {
      setTimeout(count, Math.min(left, 1000));
    }
  };
  count();
  return button;
}
