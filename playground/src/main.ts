// The playground: a page that talks to the gateway which serves it.

import { create } from "@bufbuild/protobuf";
import { type ContentBlock, ContentBlockSchema, type Message, MessageSchema, Role } from "../gen/bedrock/inference/v1/content_pb";
import { Effort } from "../gen/bedrock/inference/v1/converse_pb";
import type { Attachment } from "./attachment";
import { Conversation, Exchange } from "./conversation";
import { failureOf } from "./failure";
import { timeText } from "./figures";
import { listTargets, streamInvoke, useKey } from "./gateway";
import { requestOf } from "./request";
import { CodeDialog } from "./view/code";
import { Composer } from "./view/composer";
import { byId, h, say, warn } from "./view/dom";
import { ExchangeView } from "./view/exchange";
import { SettingsView } from "./view/settings";
import { EXAMPLE } from "./view/tools";
import type { ToolResults } from "./view/tool_results";

const EXAMPLES: [label: string, words: string, prepare: () => void][] = [
  ["Ask a question", "Why is the sky blue?", () => undefined],
  ["Let it think first", "A bat and a ball cost 1.10 together. The bat costs 1 more than the ball. What does the ball cost?", () => settings.setEffort(Effort.MEDIUM)],
  ["Let it call a tool", "What is the weather in Lisbon?", () => settings.tools.add(EXAMPLE)],
];

const transcript = byId("transcript", HTMLElement);
const welcome = byId("welcome", HTMLElement);
const settings = new SettingsView();
const composer = new Composer(send, () => abort?.abort());
const code = new CodeDialog();
const conversation = new Conversation();
const views = new Map<Exchange, ExchangeView>();
let abort: AbortController | undefined;
let results: ToolResults | undefined;

function userMessage(content: ContentBlock[]): Message {
  return create(MessageSchema, { role: Role.USER, content });
}

/** The content to send now: results that a model waits for come first. */
function draft(): ContentBlock[] {
  return [...(results?.content() ?? []), ...composer.content()];
}

function send(): void {
  if (abort || (results && !results.check()) || !settings.check()) {
    return;
  }
  const content = draft();
  if (content.length === 0) {
    composer.focus();
    return;
  }
  const files = composer.attached();
  composer.clear();
  ask(userMessage(content), files);
}

function ask(message: Message, files: Attachment[]): void {
  const exchange = new Exchange(message, requestOf(settings.settings(), [...conversation.history(), message]));
  const view = new ExchangeView(exchange, {
    edit: () => {
      rewind(exchange);
      composer.restore(message, files);
    },
    retry: () => {
      if (settings.check()) {
        rewind(exchange);
        ask(message, files);
        composer.focus();
      }
    },
    showCode: () => code.show(exchange.request),
    sendResults: send,
    shown: follow,
  });
  conversation.exchanges.push(exchange);
  views.set(exchange, view);
  welcome.hidden = true;
  transcript.append(view.element);
  scrollTo({ top: document.documentElement.scrollHeight });
  void run(exchange, view);
}

async function run(exchange: Exchange, view: ExchangeView): Promise<void> {
  const stopping = new AbortController();
  abort = stopping;
  composer.setBusy(true);
  showAwaited();
  say("Sent");
  try {
    for await (const response of streamInvoke(exchange.request, stopping.signal)) {
      if (response.event.case === "contentBlockDelta") {
        exchange.stopwatch.token();
      }
      const block = exchange.answer.apply(response);
      if (block) {
        view.update(block);
      }
    }
    exchange.outcome = "done";
  } catch (error) {
    exchange.outcome = stopping.signal.aborted ? "stopped" : { failure: failureOf(error) };
  }
  exchange.stopwatch.end();
  abort = undefined;
  // The conversation may have been reset meanwhile.
  if (conversation.exchanges.includes(exchange)) {
    view.end();
    showAwaited();
    announce(exchange);
  }
  composer.setBusy(false);
  if (results && composer.isIdle()) {
    results.focus();
  }
  follow();
}

function announce({ outcome }: Exchange): void {
  if (typeof outcome === "object") {
    const { reason, code, message, retryAfter } = outcome.failure;
    warn(`${reason || code}: ${message}${retryAfter === undefined ? "" : ` Try again in ${timeText(retryAfter)}.`}`);
  } else if (results) {
    say("The model calls tools and waits for their results.");
  } else {
    say(outcome === "stopped" ? "Stopped" : "The answer is complete.");
  }
}

/** Shows the form for the results that the conversation waits for, and for no others. */
function showAwaited(): void {
  const awaiting = conversation.awaiting();
  results = undefined;
  for (const [exchange, view] of views) {
    results = view.await(awaiting?.exchange === exchange ? awaiting.tools : []) ?? results;
  }
}

function rewind(exchange: Exchange): void {
  abort?.abort();
  conversation.rewind(exchange);
  for (const [other, view] of views) {
    if (!conversation.exchanges.includes(other)) {
      view.element.remove();
      views.delete(other);
    }
  }
  welcome.hidden = conversation.exchanges.length > 0;
  showAwaited();
}

/** Keeps the end of the page in view, unless the reader has scrolled away. */
let following = true;
addEventListener("scroll", () => {
  const { scrollHeight } = document.documentElement;
  following = scrollHeight - innerHeight - scrollY < 120;
});

function follow(): void {
  if (following) {
    scrollTo({ top: document.documentElement.scrollHeight });
  }
}

byId("new", HTMLButtonElement).addEventListener("click", () => {
  const [first] = conversation.exchanges;
  if (first) {
    rewind(first);
  }
  composer.clear();
  composer.focus();
});

byId("show-code", HTMLButtonElement).addEventListener("click", () => {
  const content = draft();
  const last = conversation.exchanges.at(-1);
  if (content.length === 0 && last) {
    code.show(last.request);
    return;
  }
  const example = create(ContentBlockSchema, { content: { case: "text", value: EXAMPLES[0]?.[1] ?? "" } });
  const message = userMessage(content.length > 0 ? content : [example]);
  code.show(requestOf(settings.settings(), [...conversation.history(), message]));
});

byId("examples", HTMLUListElement).append(
  ...EXAMPLES.map(([label, words, prepare]) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          className: "example",
          onclick: () => {
            prepare();
            composer.write(words);
            composer.focus();
            send();
          },
        },
        h("strong", {}, label),
        h("span", {}, words),
      ),
    ),
  ),
);

composer.clear();
composer.focus();

function loadTargets(): void {
  listTargets().then(
    (routes) => settings.show(routes),
    (error: unknown) => settings.showProblem(`The targets can't be listed: ${failureOf(error).message}`),
  );
}

const key = byId("key", HTMLInputElement);
key.addEventListener("input", () => useKey(key.value));
// The targets are those that the caller may use.
key.addEventListener("change", loadTargets);
// Some browsers fill in the values of a page that is loaded again.
key.value = "";
loadTargets();
