//! Contains the tables for guardrails: their configuration, the content that they assess, and their
//! findings.

use crate::{
    pb,
    translate::table::{
        Json,
        codec::{Choice, Choices, List, Map, Named, OpenChoice, Optional, Required, RequiredList},
        object, plain_list, union, words,
    },
};

object!(GuardrailStreamConfiguration {
    "guardrailIdentifier" => guardrail_identifier: Optional,
    "guardrailVersion" => guardrail_version: Optional,
    "trace" => trace + trace_name: OpenChoice<pb::GuardrailTrace>,
    "streamProcessingMode" => stream_processing_mode + stream_processing_mode_name: OpenChoice<pb::GuardrailStreamProcessingMode>,
});

words!(GuardrailTrace {
    "enabled" => Enabled,
    "disabled" => Disabled,
    "enabled_full" => EnabledFull,
});

words!(GuardrailStreamProcessingMode {
    "sync" => Sync,
    "async" => Async,
});

union!(guardrail_converse_content_block::Content in GuardrailConverseContentBlock.content {
    "text" => Text,
    "image" => Image,
});

object!(GuardrailConverseTextBlock {
    "text" => text: Required,
    "qualifiers" => qualifiers: Choices<pb::GuardrailConverseContentQualifier>,
});

words!(GuardrailConverseContentQualifier {
    "grounding_source" => GroundingSource,
    "query" => Query,
    "guard_content" => GuardContent,
});

object!(GuardrailConverseImageBlock {
    "format" => format + format_name: Named<pb::ImageFormat>,
    "source" => source: Optional,
});

object!(GuardrailTraceAssessment {
    "modelOutput" => model_output: List,
    "inputAssessment" => input_assessment: Map,
    "outputAssessments" => output_assessments: Map,
    "actionReason" => action_reason: Optional,
});

plain_list!(GuardrailAssessmentList.assessments);

object!(GuardrailAssessment {
    "topicPolicy" => topic_policy: Optional,
    "contentPolicy" => content_policy: Optional,
    "wordPolicy" => word_policy: Optional,
    "sensitiveInformationPolicy" => sensitive_information_policy: Optional,
    "contextualGroundingPolicy" => contextual_grounding_policy: Optional,
    "automatedReasoningPolicy" => automated_reasoning_policy_json: Json,
    "invocationMetrics" => invocation_metrics: Optional,
    "appliedGuardrailDetails" => applied_guardrail_details: Optional,
});

object!(GuardrailTopicPolicyAssessment {
    "topics" => topics: List,
});

object!(GuardrailTopic {
    "name" => name: Optional,
    "type" => r#type: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailContentPolicyAssessment {
    "filters" => filters: List,
});

object!(GuardrailContentFilter {
    "type" => r#type: Optional,
    "confidence" => confidence: Optional,
    "filterStrength" => filter_strength: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailWordPolicyAssessment {
    "customWords" => custom_words: List,
    "managedWordLists" => managed_word_lists: List,
});

object!(GuardrailCustomWord {
    "match" => r#match: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailManagedWord {
    "match" => r#match: Optional,
    "type" => r#type: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailSensitiveInformationPolicyAssessment {
    "piiEntities" => pii_entities: List,
    "regexes" => regexes: List,
});

object!(GuardrailPiiEntityFilter {
    "match" => r#match: Optional,
    "type" => r#type: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailRegexFilter {
    "name" => name: Optional,
    "match" => r#match: Optional,
    "regex" => regex: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailContextualGroundingPolicyAssessment {
    "filters" => filters: List,
});

object!(GuardrailContextualGroundingFilter {
    "type" => r#type: Optional,
    "threshold" => threshold: Optional,
    "score" => score: Optional,
    "action" => action: Optional,
    "detected" => detected: Optional,
});

object!(GuardrailInvocationMetrics {
    "guardrailProcessingLatency" => guardrail_processing_latency: Optional,
    "usage" => usage: Optional,
    "guardrailCoverage" => guardrail_coverage: Optional,
});

object!(GuardrailUsage {
    "topicPolicyUnits" => topic_policy_units: Optional,
    "contentPolicyUnits" => content_policy_units: Optional,
    "wordPolicyUnits" => word_policy_units: Optional,
    "sensitiveInformationPolicyUnits" => sensitive_information_policy_units: Optional,
    "sensitiveInformationPolicyFreeUnits" => sensitive_information_policy_free_units: Optional,
    "contextualGroundingPolicyUnits" => contextual_grounding_policy_units: Optional,
    "contentPolicyImageUnits" => content_policy_image_units: Optional,
    "automatedReasoningPolicyUnits" => automated_reasoning_policy_units: Optional,
    "automatedReasoningPolicies" => automated_reasoning_policies: Optional,
});

object!(GuardrailCoverage {
    "textCharacters" => text_characters: Optional,
    "images" => images: Optional,
});

object!(GuardrailCoverageCount {
    "guarded" => guarded: Optional,
    "total" => total: Optional,
});

object!(AppliedGuardrailDetails {
    "guardrailId" => guardrail_id: Optional,
    "guardrailVersion" => guardrail_version: Optional,
    "guardrailArn" => guardrail_arn: Optional,
    "guardrailOrigin" => guardrail_origin: List,
    "guardrailOwnership" => guardrail_ownership: Optional,
});

object!(ApplyGuardrailRequest {
    "source" => source: Choice<pb::GuardrailContentSource>,
    "content" => content: RequiredList,
    "outputScope" => output_scope: Choice<pb::GuardrailOutputScope>,
});

words!(GuardrailContentSource {
    "INPUT" => Input,
    "OUTPUT" => Output,
});

words!(GuardrailOutputScope {
    "INTERVENTIONS" => Interventions,
    "FULL" => Full,
});

object!(ApplyGuardrailResponse {
    "action" => action + action_name: Named<pb::GuardrailAction>,
    "actionReason" => action_reason: Optional,
    "outputs" => outputs: List,
    "assessments" => assessments: List,
    "usage" => usage: Optional,
    "guardrailCoverage" => guardrail_coverage: Optional,
});

words!(GuardrailAction {
    "NONE" => None,
    "GUARDRAIL_INTERVENED" => GuardrailIntervened,
});

object!(GuardrailOutputContent {
    "text" => text: Optional,
});
