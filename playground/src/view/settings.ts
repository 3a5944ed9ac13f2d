// The settings: target, system prompt, parameters, tools.

import { ServiceTierType, Effort, PerformanceConfigLatency } from "../../gen/bedrock/inference/v1/converse_pb";
import { RouteHealth, type Route, type Target } from "../../gen/bedrock/inference/v1/target_service_pb";
import type { Routes } from "../gateway";
import { jsonProblem } from "../json";
import type { Settings } from "../request";
import { byId, growing, h } from "./dom";
import { Tools } from "./tools";

/** The value of the target's last option. Aliases cannot contain a dot. */
const OTHER = ".";

const form = byId("settings-form", HTMLFormElement);
const target = byId("target", HTMLSelectElement);
const modelIdField = byId("model-id-field", HTMLElement);
const modelId = byId("model-id", HTMLInputElement);
const route = byId("route", HTMLElement);
const system = byId("system", HTMLTextAreaElement);
const maxTokens = byId("max-tokens", HTMLInputElement);
const temperature = byId("temperature", HTMLInputElement);
const topP = byId("top-p", HTMLInputElement);
const stopSequences = byId("stop-sequences", HTMLTextAreaElement);
const effort = byId("effort", HTMLSelectElement);
const serviceTier = byId("service-tier", HTMLSelectElement);
const latency = byId("latency", HTMLSelectElement);
const guardrailId = byId("guardrail-id", HTMLInputElement);
const guardrailVersion = byId("guardrail-version", HTMLInputElement);
const additionalFields = byId("additional-fields", HTMLTextAreaElement);
const details = byId("settings", HTMLDetailsElement);
const summary = byId("settings-summary", HTMLElement);

export class SettingsView {
  readonly tools = new Tools();
  private routes: Routes = { targets: [], allowedModelIds: [] };

  constructor() {
    choices(effort, Effort);
    choices(serviceTier, ServiceTierType);
    choices(latency, PerformanceConfigLatency);
    growing(system);
    growing(stopSequences);
    growing(additionalFields);
    form.addEventListener("submit", (event) => event.preventDefault());
    target.addEventListener("change", () => {
      this.showRoute();
      if (target.value === OTHER) {
        modelId.focus();
      }
    });
    modelId.addEventListener("input", () => this.showRoute());
    additionalFields.addEventListener("input", () => additionalFields.setCustomValidity(jsonProblem(additionalFields.value)));

    // Next to the conversation, the settings are always open. Above it, they are open only on
    // request.
    const wide = matchMedia("(min-width: 60rem)");
    const fit = () => {
      details.open = wide.matches;
    };
    wide.addEventListener("change", fit);
    fit();
  }

  /** Shows the targets. */
  show(routes: Routes): void {
    this.routes = routes;
    const options = routes.targets.map(({ name, description }) =>
      h("option", { value: name }, description === "" ? name : `${name} · ${description}`),
    );
    if (routes.allowedModelIds.length > 0) {
      options.push(h("option", { value: OTHER }, "A model ID or ARN …"));
    }
    target.replaceChildren(...options);
    target.disabled = options.length === 0;
    this.showRoute();
  }

  /** Shows why the targets could not be loaded. */
  showProblem(problem: string): void {
    target.replaceChildren(h("option", { value: OTHER }, "A model ID or ARN …"));
    this.showRoute();
    route.textContent = problem;
  }

  /** Returns whether all settings are valid; if not, marks the invalid ones. */
  check(): boolean {
    if (form.checkValidity()) {
      return true;
    }
    // A collapsed element cannot receive focus.
    for (const invalid of form.querySelectorAll<HTMLElement>(":invalid:not(fieldset)")) {
      for (let folded = invalid.closest("details"); folded; folded = folded.parentElement?.closest("details") ?? null) {
        folded.open = true;
      }
    }
    return form.reportValidity();
  }

  setEffort(value: Effort): void {
    effort.value = String(value);
  }

  settings(): Settings {
    const number = (input: HTMLInputElement) => (Number.isNaN(input.valueAsNumber) ? undefined : input.valueAsNumber);
    return {
      target: this.target(),
      system: system.value,
      maxTokens: number(maxTokens),
      temperature: number(temperature),
      topP: number(topP),
      stopSequences: stopSequences.value.split("\n").filter((line) => line !== ""),
      effort: Number(effort.value),
      tools: this.tools.drafts(),
      toolChoice: this.tools.choice(),
      serviceTier: Number(serviceTier.value),
      latency: Number(latency.value),
      guardrailId: guardrailId.value.trim(),
      guardrailVersion: guardrailVersion.value.trim(),
      additionalFields: additionalFields.value,
    };
  }

  private target(): string {
    return target.value === OTHER ? modelId.value.trim() : target.value;
  }

  private showRoute(): void {
    const isOther = target.value === OTHER;
    modelIdField.hidden = !isOther;
    modelId.required = isOther;
    summary.textContent = this.target();
    if (isOther) {
      const patterns = this.routes.allowedModelIds;
      route.textContent = patterns.length === 0 || patterns.includes("*") ? "" : `Allowed here: ${patterns.join(", ")}`;
      return;
    }
    const chosen = this.routes.targets.find(({ name }) => name === target.value);
    route.textContent = chosen ? routesText(chosen) : "This gateway has no targets, and allows no model IDs.";
  }
}

function routesText({ routes }: Target): string {
  return routes.map(routeText).join("; else ");
}

function routeText({ modelId, sourceRegion, destinationRegions, status, health }: Route): string {
  const regions = destinationRegions.length > 0 ? `${sourceRegion} → ${destinationRegions.join(", ")}` : sourceRegion;
  const trouble = health === RouteHealth.THROTTLED ? "throttled" : health === RouteHealth.UNHEALTHY ? "failing" : "";
  const state = [status === "ACTIVE" ? "" : status, trouble].filter(Boolean).join(", ");
  return `${modelId} in ${regions}${state && ` (${state})`}`;
}

/** An option for each value of an enum, as Bedrock names it. */
function choices(select: HTMLSelectElement, values: Record<string, string | number>): void {
  for (const [name, number] of Object.entries(values)) {
    if (typeof number === "number") {
      select.append(h("option", { value: String(number) }, number === 0 ? "default" : wordOf(name, select)));
    }
  }
}

function wordOf(name: string, select: HTMLSelectElement): string {
  const word = name.toLowerCase();
  // A tier is also called `default`.
  return select === serviceTier && word === "default" ? "default (named)" : word;
}
