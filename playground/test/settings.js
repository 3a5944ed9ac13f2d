/** Settings with no value set. */
export const EMPTY = {
  target: "claude",
  system: "",
  maxTokens: undefined,
  temperature: undefined,
  topP: undefined,
  stopSequences: [],
  effort: 0,
  tools: [],
  toolChoice: "auto",
  serviceTier: 0,
  latency: 0,
  guardrailId: "",
  guardrailVersion: "",
  additionalFields: "",
};
